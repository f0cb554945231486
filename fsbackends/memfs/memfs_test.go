package memfs_test

import (
	"testing"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/fstest"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

func TestConformance(t *testing.T) {
	fstest.Run(t, func(*testing.T) vfs.FS { return memfs.New() })
}
