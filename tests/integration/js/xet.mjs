// xet.mjs up FILE REPO NAME true|false; xet.mjs down REPO NAME true|false: with and without the Xet protocol.
// Says the SHA-256 of what it got, of a slice in the middle, and which addresses it called.
import { createHash } from "node:crypto";
import { pathToFileURL } from "node:url";
import { downloadFile, uploadFiles } from "@huggingface/hub";

const called = new Set();
const noting = (url, options) => {
	called.add(new URL(url.url ?? url).pathname.replaceAll(/[0-9a-f]{64}/g, "HASH"));
	return fetch(url, options);
};
const hub = { hubUrl: process.env.HUB_URL, accessToken: process.env.HF_TOKEN, fetch: noting };
const sha256 = async (blob) => {
	const hash = createHash("sha256");
	for await (const piece of blob.stream()) {
		hash.update(piece);
	}
	return hash.digest("hex");
};

const [what, ...args] = process.argv.slice(2);
if (what === "up") {
	const [file, repo, path, useXet] = args;
	await uploadFiles({ repo, files: [{ path, content: pathToFileURL(file) }], useXet: useXet === "true", ...hub });
	console.log(JSON.stringify({ called: [...called] }));
} else {
	const [repo, path, xet] = args;
	const blob = await downloadFile({ repo, path, xet: xet === "true", ...hub });
	const middle = blob.slice(Math.floor(blob.size / 3), Math.floor(blob.size / 3) + 100_000);
	console.log(
		JSON.stringify({ size: blob.size, all: await sha256(blob), middle: await sha256(middle), called: [...called] }),
	);
}
