// A client in types made of the OpenAPI document: submits photos, follows the job, fetches the scene.
//
//     node client.js URL PHOTO...

import createClient from 'openapi-fetch';
import type { components, paths, webhooks } from './splat.js';

declare const process: { argv: string[] };

type Job = components['schemas']['JobView'];
// What a receiver of webhooks may rely on.
type Ended = NonNullable<webhooks['job_ended']['post']['requestBody']>['content']['application/json'];
const over: Record<components['schemas']['JobState'], boolean> = {
  queued: false, running: false, succeeded: true, failed: true, cancelled: true, dead: true,
};
export const word = (ended: Ended): string => `${ended.kind} ${ended.id}: ${over[ended.state] ? ended.state : 'never'}`;

const [url = '', ...photos] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url });

function taken<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.data === undefined) throw new Error(`${answer.response.status}: ${JSON.stringify(answer.error)}`);
  return answer.data;
}

const form = new FormData();
// @ts-expect-error a module of Node's, whose types are not installed
const { readFile } = await import('node:fs/promises');
for (const photo of photos) form.append('images', new Blob([await readFile(photo)]), photo.split('/').pop());
form.append('preset', 'preview');
const body = { images: [], preset: 'preview' as const };
let job: Job = taken(await client.POST('/v1/jobs', { body, bodySerializer: () => form, headers: { 'Content-Type': null } }));
while (!over[job.state]) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  job = taken(await client.GET('/v1/jobs/{id}', { params: { path: { id: job.id } } }));
}
const scene = job.artifacts.find(({ name }) => name === 'scene.ply');
if (job.state !== 'succeeded' || !scene) throw new Error(`the job is ${job.state}`);
const path = { id: job.id, name: scene.name };
const file = taken(await client.GET('/v1/jobs/{id}/artifacts/{name}', { params: { path }, parseAs: 'arrayBuffer' }));
const bytes = file as unknown as ArrayBuffer;
if (bytes.byteLength !== scene.bytes) throw new Error(`${bytes.byteLength} of ${scene.bytes} bytes`);
