// Command spillway-plugin-gzip is the stage gzip in a process of its own, so that
// the server's memory is not its. The bytes are those of the built-in stage:
// what it writes `gzip -d` reads.
package main

import (
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/gzip"
)

func main() { plugins.Serve(plugins.Stage(gzip.Name, gzip.New)) }
