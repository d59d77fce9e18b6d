// Detects the type of a chosen file by its first bytes, so that an unusable file is reported before
// it is uploaded. The service checks again; this is for convenience, not for security.

const HEAD = 64;

function ascii(bytes, start, end) {
  return String.fromCharCode(...bytes.subarray(start, end));
}

/** `jpeg`, `png`, `webp`, `zip`, `video`, `heic`, `raw`, `empty` or `unknown`. */
export function kindOf(bytes) {
  if (bytes.length === 0) return 'empty';
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return 'jpeg';
  if (ascii(bytes, 0, 8) === '\x89PNG\r\n\x1a\n') return 'png';
  if (ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'WEBP') return 'webp';
  if (ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'AVI ') return 'video';
  if (ascii(bytes, 0, 4) === 'PK\x03\x04') return 'zip';
  if (ascii(bytes, 4, 8) === 'ftyp') {
    const brand = ascii(bytes, 8, 12);
    if (/^(hei|hev|mif1|msf1|avif|avis)/.test(brand)) return 'heic';
    return brand === 'crx ' ? 'raw' : 'video';
  }
  if (bytes[0] === 0x1a && bytes[1] === 0x45 && bytes[2] === 0xdf && bytes[3] === 0xa3) return 'video'; // Matroska, WebM
  if (ascii(bytes, 0, 4) === 'II*\0' || ascii(bytes, 0, 4) === 'MM\0*') return 'raw'; // TIFF and most raw formats
  return 'unknown';
}

/**
 * Why `file` cannot be used: `{ key, params }` of a text, or null with its kind. `limits` are those of `/v1/info`.
 * @returns {Promise<{ kind: string, reason: { key: string, params?: object } | null }>}
 */
export async function examine(file, limits, { video }) {
  let bytes;
  try {
    bytes = new Uint8Array(await file.slice(0, HEAD).arrayBuffer());
  } catch {
    return { kind: 'unknown', reason: { key: 'reject.unreadable' } }; // a folder, or deleted since it was chosen
  }
  const kind = kindOf(bytes);
  return { kind, reason: reasonAgainst(kind, file, limits, video) };
}

function reasonAgainst(kind, file, limits, video) {
  if (kind === 'empty') return { key: 'reject.empty' };
  if (kind === 'raw') return { key: 'reject.raw' };
  if (kind === 'unknown') return { key: 'reject.unknown' };
  if (kind === 'video' && !video) return { key: 'reject.no_video' };
  const most = kind === 'zip' || kind === 'video' ? limits?.max_job_bytes : limits?.max_file_bytes;
  if (most && file.size > most) return { key: 'reject.large', params: { size: file.size, most } };
  return null;
}
