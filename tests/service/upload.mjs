// Uploads a file with tus-js-client and prints where it lies: node upload.mjs ENDPOINT FILE
import { createReadStream, statSync } from 'node:fs'
import * as tus from 'tus-js-client'

const [endpoint, path] = process.argv.slice(2)
const upload = new tus.Upload(createReadStream(path), {
  endpoint,
  uploadSize: statSync(path).size,
  metadata: { filename: 'photos.zip' },
  retryDelays: Array(40).fill(50),
  onError(error) {
    console.error(`error: ${error.message}`)
    process.exit(1)
  },
  onSuccess() {
    console.log(upload.url)
    process.exit(0)
  },
})
upload.start()
