"""What the scripts share: a line of JSON for each thing that a library made of an answer, and the one
tool of their agents."""

import json
import subprocess

ASK = "Say hello."
TASK = "Raise the limit of records to 250, and check that nothing breaks."
TOOL = "bash"
TOOL_ABOUT = "Runs a shell command in the project and returns what it says."
SCHEMA = {
    "type": "object",
    "properties": {"command": {"type": "string", "description": "The command."}},
    "required": ["command"],
}
# Long enough for every threshold, as the instructions of agents are.
RULES = "\n".join(f"Rule {n}: leave part {n * 7919 % 1000} of the project as it is unless the user says otherwise."
                  for n in range(400))

# No task takes more.
TURNS_MAX = 20


def say(what, **view):
    print(json.dumps({"what": what, **view}), flush=True)


def fails(what, call, *kinds):
    """The error that the library makes of it, with its status if it has one."""
    try:
        call()
    except kinds as error:
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        say(what, error=type(error).__name__, status=status if isinstance(status, int) else None)
    else:
        say(what, error=None)


def run(command):
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr
