// Package pythonstage tests the plugin in this directory, which is written in
// Python from plugins/proto/plugin.proto. See README.md.
package pythonstage
