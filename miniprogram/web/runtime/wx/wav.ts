// Turns what a browser records into a WAV of one channel.

/** Samples a second: enough for speech, and 60 s stay below 2 MB. */
const RATE = 16_000;

/** Bytes before the samples. */
const HEADER = 44;

/** At most `most` milliseconds of a recording, and its length in milliseconds. */
export async function toWav(recording: Blob, most: number): Promise<{ blob: Blob; duration: number }> {
  const decoder = new OfflineAudioContext(1, 1, RATE);
  const sound = await decoder.decodeAudioData(await recording.arrayBuffer());
  const samples = sound.getChannelData(0).subarray(0, Math.floor((most * RATE) / 1000));
  return { blob: wav(samples), duration: Math.round((samples.length * 1000) / RATE) };
}

/** Samples from -1 to 1, as 16 bits each. */
export function wav(samples: Float32Array): Blob {
  const size = samples.length * 2;
  const view = new DataView(new ArrayBuffer(HEADER + size));
  const word = (at: number, text: string) => {
    for (let index = 0; index < text.length; index++) view.setUint8(at + index, text.charCodeAt(index));
  };
  word(0, 'RIFF');
  view.setUint32(4, HEADER - 8 + size, true);
  word(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, RATE * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  word(36, 'data');
  view.setUint32(40, size, true);
  samples.forEach((sample, index) => {
    view.setInt16(HEADER + index * 2, Math.max(-1, Math.min(1, sample)) * 0x7fff, true);
  });
  return new Blob([view], { type: 'audio/wav' });
}
