// What the scripts share: a line of JSON for each thing that a library made of an answer, and the one
// tool of their agents.

import { spawnSync } from "node:child_process";

export const ASK = "Say hello.";
export const TASK = "Raise the limit of records to 250, and check that nothing breaks.";
export const TOOL = "bash";
export const TOOL_ABOUT = "Runs a shell command in the project and returns what it says.";
export const SCHEMA = {
  type: "object",
  properties: { command: { type: "string", description: "The command." } },
  required: ["command"],
};
// Long enough for every threshold, as the instructions of agents are.
export const RULES = Array.from({ length: 400 }, (_, n) =>
  `Rule ${n}: leave part ${(n * 7919) % 1000} of the project as it is unless the user says otherwise.`,
).join("\n");

// No task takes more.
export const TURNS_MAX = 20;

export function say(what, view) {
  console.log(JSON.stringify({ what, ...view }));
}

// The error that the library makes of it, with its status if it has one.
export async function fails(what, call) {
  try {
    await call();
  } catch (error) {
    return say(what, { error: error.constructor.name, status: error.status ?? error.statusCode ?? null });
  }
  say(what, { error: null });
}

export function run(command) {
  const done = spawnSync("sh", ["-c", command], { encoding: "utf8", timeout: 60_000 });
  return done.stdout + done.stderr;
}

export async function atOnce(...kinds) {
  const works = Array.from({ length: 8 }, () => kinds).flat();
  say("at once", { texts: await Promise.all(works.map((work) => work())) });
}
