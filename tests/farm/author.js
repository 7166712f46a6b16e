// What a Flamenco manager offers to a job type, as its documentation tells it: used by test_flamenco.py.
// Arguments: the script; the job's settings as JSON on standard input. Prints the job type and the tasks as JSON.
"use strict";
const fs = require("fs");
const vm = require("vm");

const word = (value, what) => {
    if (typeof value !== "string" || value.trim() === "") throw new TypeError(`${what} is required`);
    return value.trim();
};

class Task {
    constructor(name, type) {
        this.name = word(name, "a task's name");
        this.type = word(type, "a task's type");
        this.commands = [];
        this.dependencies = [];
    }
    addCommand(command) {
        if (!(command instanceof Command)) throw new TypeError("no command");
        this.commands.push(command);
    }
    addDependency(task) {
        if (!(task instanceof Task)) throw new TypeError(`${this.name} depends on what is no task`);
        this.dependencies.push(task);
    }
}

class Command {
    constructor(name, parameters) {
        this.name = word(name, "a command's name");
        if (this.name === "exec") {
            word(parameters.exe, "exe");
            if (!Array.isArray(parameters.args)) throw new TypeError("args are a list");
            parameters.args.forEach((one) => word(one, "an argument"));
        }
        this.parameters = parameters;
    }
}

const tasks = [];
const job = {
    name: "test", priority: 50, created: new Date(), settings: JSON.parse(fs.readFileSync(0, "utf8")),
    addTask(task) {
        // A copy: what is added to the task afterwards is lost.
        tasks.push({ of: task, name: task.name, type: task.type, commands: [...task.commands],
                     dependencies: [...task.dependencies] });
    },
};
const author = { Task: (...given) => new Task(...given), Command: (...given) => new Command(...given) };
const script = fs.readFileSync(process.argv[2], "utf8") + "\n;({ JOB_TYPE, compileJob });";
const { JOB_TYPE, compileJob } = vm.runInNewContext(script, { author, print: () => undefined });
compileJob(job);
const numbered = new Map(tasks.map((task, number) => [task.of, number]));
console.log(JSON.stringify({
    jobType: JOB_TYPE,
    tasks: tasks.map((task) => ({
        name: task.name, type: task.type, commands: task.commands,
        needs: task.dependencies.map((one) => numbered.get(one)),
    })),
}));
