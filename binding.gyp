{
  # node-gyp users get the same build as everyone else: scripts/build.mjs drives CMake.
  "targets": [
    {
      "target_name": "r1",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "inputs": ["CMakeLists.txt"],
          "outputs": ["build/Release/r1.node"],
          "action": ["node", "scripts/build.mjs"]
        }
      ]
    }
  ]
}
