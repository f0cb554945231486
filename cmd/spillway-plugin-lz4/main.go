// Command spillway-plugin-lz4 is the stage lz4 in a process of its own, so that
// the server's memory is not its. The bytes are those of the built-in stage:
// what it writes is a standard frame, which `lz4 -d` reads.
package main

import (
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/lz4"
)

func main() { plugins.Serve(plugins.Stage(lz4.Name, lz4.New)) }
