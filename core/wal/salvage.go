package wal

import (
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/vfs"
)

// Survey counts the whole blocks of a segment from an offset on, and the
// commands in them, whatever lies between them: what cutting the segment there
// would lose. It changes nothing. For a segment whose header is damaged nobody
// can tell: then it counts none.
func Survey(fs vfs.FS, name string, from int64) (blocks, commands int64, err error) {
	id, _, err := readID(fs, name)
	var bad *CorruptError
	if errors.As(err, &bad) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	f, err := fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("survey log segment: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, 0, fmt.Errorf("survey log segment %s: %w", name, err)
	}
	isBlock := func(a *annotation) bool { return !a.mark }
	_, err = eachBlock(f, from, st.Size(), segmentSum(id), isBlock, func(_ int64, _ *annotation, payload []byte) bool {
		blocks++
		commands += countCommands(payload)
		return true
	})
	if err != nil {
		return 0, 0, fmt.Errorf("survey log segment %s: %w", name, err)
	}
	return blocks, commands, nil
}

// countCommands counts what Replay would hand out of a block.
func countCommands(payload []byte) (n int64) {
	var p resp.Parser
	var args [][]byte
	for len(payload) > 0 {
		got, used, err := p.Next(payload, args[:0])
		if err != nil {
			return n
		}
		args, payload = got, payload[used:]
		if len(args) > 0 && !word(args, 2, "SELECT") && !word(args, 1, "MULTI") && !word(args, 1, "EXEC") {
			n++
		}
	}
	return n
}

// Empty sets all blocks of a segment aside, as RepairTail does, and leaves a
// segment without blocks; one that is missing, or whose header is damaged, is
// created anew. It returns where it set them aside, "" if there was nothing.
func Empty(fs vfs.FS, name string, now time.Time) (asideName string, err error) {
	_, header, err := readID(fs, name)
	var bad *CorruptError
	switch {
	case err == nil:
		return RepairTail(fs, name, int64(header), now)
	case errors.As(err, &bad):
		if asideName, err = RepairTail(fs, name, 0, now); err != nil {
			return "", err
		}
		if err := fs.Remove(name); err != nil {
			return asideName, fmt.Errorf("repair log segment %s: %w", name, err)
		}
	case !errors.Is(err, os.ErrNotExist):
		return "", err
	}
	return asideName, Create(fs, name, now)
}

// SetAside moves a file of the data directory, or a directory, to TornDir, out
// of the way of every start, and returns its new name.
func SetAside(fs vfs.FS, name string, now time.Time) (asideName string, err error) {
	if err := vfs.MkdirAllSync(fs, TornDir, dirMode); err != nil {
		return "", fmt.Errorf("set %s aside: %w", name, err)
	}
	base := path.Join(TornDir, fmt.Sprintf("%s.%d", path.Base(name), now.UnixMilli()))
	asideName = base
	// What is there may be the same file: a crash can leave it under both
	// names, and renaming a file to itself does nothing.
	for i := 1; ; i++ {
		there, err := vfs.Exists(fs, asideName)
		if err != nil {
			return "", fmt.Errorf("set %s aside: %w", name, err)
		}
		if !there {
			break
		}
		asideName = fmt.Sprintf("%s.%d", base, i)
	}
	if err := fs.Rename(name, asideName); err != nil {
		return "", fmt.Errorf("set %s aside: %w", name, err)
	}
	// It must not come to be in neither place.
	for _, dir := range []string{TornDir, path.Dir(name)} {
		if err := fs.SyncDir(dir); err != nil {
			return "", fmt.Errorf("set %s aside: %w", name, err)
		}
	}
	return asideName, nil
}
