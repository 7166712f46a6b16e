// A Flamenco job type: the windows of a sealed job (see `overpaint pack` and `overpaint plan`), then its take.
// It cannot read files, so the plan comes as text: the add-on reads it beside the job, other submitters pass it.

const JOB_TYPE = {
    label: "Overpaint",
    description: "Repaint one thing in a clip: a folder that `overpaint pack` made",
    settings: [
        { key: "job_folder", type: "string", subtype: "dir_path", required: true,
          description: "The sealed job, where every worker sees it; it holds plan.json" },
        { key: "plan", type: "string", required: true, visible: "hidden",
          eval: "Path(abspath(settings.job_folder), 'plan.json').read_text('utf-8')",
          description: "What `overpaint plan JOB --json` printed" },
    ],
};

const TASK_TYPE = "overpaint-gpu";

function compileJob(job) {
    const folder = job.settings.job_folder;
    const plan = readPlan(job.settings.plan);
    const painted = {};
    for (const part of plan.tasks) {
        const task = author.Task(`paint windows ${part.windows}`, TASK_TYPE);
        task.addCommand(overpaint("run", folder, "--windows", part.windows));
        // Before job.addTask: the manager keeps the task as it is then.
        for (const number of part.needs) {
            task.addDependency(painted[number]);
        }
        painted[part.number] = task;
        job.addTask(task);
    }

    const take = author.Task("assemble and verify", TASK_TYPE);
    take.addCommand(overpaint("assemble", folder));
    take.addCommand(overpaint("verify", folder));
    for (const part of plan.tasks) {
        take.addDependency(painted[part.number]);
    }
    job.addTask(take);
}

function overpaint(...words) {
    return author.Command("exec", { exe: "{overpaint}", args: words });
}

function readPlan(text) {
    const plan = JSON.parse(text);
    if (!plan.tasks || plan.tasks.length === 0) {
        throw new Error("the plan has no tasks: say overpaint plan JOB --json > JOB/plan.json");
    }
    return plan;
}
