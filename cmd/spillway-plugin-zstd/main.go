// Command spillway-plugin-zstd is the stage zstd in a process of its own, so that
// the server's memory is not its. The bytes are those of the built-in stage:
// what it writes is a standard frame, which `zstd -d` reads.
package main

import (
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/zstd"
)

func main() { plugins.Serve(plugins.Stage(zstd.Name, zstd.New)) }
