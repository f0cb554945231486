// Command spillway-plugin-blob is the plugin that keeps checkpoints in object
// stores: S3 and what is compatible, Google Cloud Storage, Azure Blob Storage.
// See plugins/blob for what it promises.
package main

import (
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/blob"
)

func main() { plugins.Serve(plugins.Sink(blob.Name, blob.New)) }
