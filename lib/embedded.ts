/** What the package brings along beside its code: the embedded models, and the tasks that measure them. */
import { dirname, join } from "node:path";
import { isFile } from "./checkpoint/files";
import { R1Error } from "./errors";

/** Of this package: a checkout, or its folder in node_modules. lib/ and dist/ lie right below. */
const packageRoot = dirname(__dirname);

/** The model that is used where none is named. */
export const embeddedModel = "r1-nano";

/** Where the default questions of `r1 eval` lie. */
export const embeddedTasks = join(packageRoot, "test/fixtures/tasks");

/** "No modelPath given: using …", `option` being what was not given. */
export const embeddedNotice = (option: string): string =>
  `No ${option} given: using the embedded ${embeddedModel}, a small demonstration model.`;

/** The folder of the embedded model. @throws R1Error E_NOT_FOUND in a package that lacks it */
export async function embeddedModelPath(root: string = packageRoot): Promise<string> {
  const folder = join(root, "models", embeddedModel);
  if (await isFile(join(folder, "config.json"))) return folder;
  throw new R1Error(
    "E_NOT_FOUND",
    `The embedded model ${embeddedModel}, which is used where no model is named, was not found in ${folder}: this copy ` +
      "of r1-native is incomplete. Install it again, or name a model folder (modelPath, --model DIR).",
  );
}
