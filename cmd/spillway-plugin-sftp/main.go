// Command spillway-plugin-sftp is the plugin that keeps checkpoints on an SFTP
// server. See plugins/sftp for what it promises.
package main

import (
	"github.com/spillwaydb/spillway/plugins"
	"github.com/spillwaydb/spillway/plugins/sftp"
)

func main() { plugins.Serve(plugins.Sink(sftp.Name, sftp.New)) }
