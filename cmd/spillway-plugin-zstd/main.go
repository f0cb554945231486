// Command spillway-plugin-zstd is the compression plugin: the stages zstd, lz4
// and gzip in a process of their own, so that the server's processors and
// memory are not theirs. What they write is what the built-in zstd, lz4 and
// gzip write.
package main

import (
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/gzip"
	"github.com/spillwaydb/spillway/plugins/lz4"
	"github.com/spillwaydb/spillway/plugins/zstd"
)

func main() {
	plugins.Serve(
		plugins.Stage(zstd.Name, zstd.New),
		plugins.Stage(lz4.Name, lz4.New),
		plugins.Stage(gzip.Name, gzip.New),
	)
}
