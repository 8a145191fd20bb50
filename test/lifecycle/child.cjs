// A child process, or worker thread, that loads the package with require().
const api = require("r1-native");
const { run } = require("./scenarios.cjs");

const fail = (error) => {
  console.error(error);
  process.exit(99);
};
run(api, { ...JSON.parse(process.argv[2]), entry: __filename }).catch(fail);
