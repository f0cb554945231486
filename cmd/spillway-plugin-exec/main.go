// Command spillway-plugin-exec is the plugin that pipes parts through any
// program: gpg, pigz, openssl … See plugins/exec for what it promises.
package main

import (
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/exec"
)

func main() { plugins.Serve(plugins.Stage(exec.Name, exec.New)) }
