package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"time"

	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/vfs"
)

// Survey counts the whole blocks of a segment from an offset on, and the
// commands in them, whatever lies between them: what cutting the segment there
// would lose. It changes nothing. id is what Create returned for the segment;
// with "" the segment's own word is taken for it, and where that is damaged
// nobody can tell: then Survey counts none.
func Survey(fs vfs.FS, name, id string, from int64) (blocks, commands int64, err error) {
	n, err := idOf(fs, name, id)
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
	_, err = eachBlock(f, from, st.Size(), segmentSum(n), isBlock, func(_ int64, _ *annotation, payload []byte) bool {
		blocks++
		commands += countCommands(payload)
		return true
	})
	if err != nil {
		return 0, 0, fmt.Errorf("survey log segment %s: %w", name, err)
	}
	return blocks, commands, nil
}

// idOf is the number behind an id, or, for "", what the segment says.
func idOf(fs vfs.FS, name, id string) (uint64, error) {
	if id == "" {
		n, _, err := readID(fs, name)
		return n, err
	}
	n, err := strconv.ParseUint(id, 16, 64)
	if err != nil {
		return 0, fmt.Errorf("log segment %s: the id %q is none", name, id)
	}
	return n, nil
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

// Empty sets all blocks of a segment aside, as RepairTail does, and leaves the
// segment of that id without blocks; one that is missing, is no file, or whose
// header is damaged, is made anew. It returns where it set them aside, "" if there was
// nothing.
func Empty(fs vfs.FS, name, id string, now time.Time) (asideName string, err error) {
	own, header, err := readID(fs, name)
	var bad *CorruptError
	switch {
	case err == nil && (id == "" || formatID(own) == id):
		return RepairTail(fs, name, int64(header), now)
	case err == nil || errors.As(err, &bad):
		if asideName, err = RepairTail(fs, name, 0, now); err != nil {
			return "", err
		}
		if err := fs.Remove(name); err != nil {
			return asideName, fmt.Errorf("repair log segment %s: %w", name, err)
		}
	case vfs.IsNotRegular(err): // it is of no use, and somebody's
		if asideName, err = SetAside(fs, name, now); err != nil {
			return "", err
		}
	case !errors.Is(err, os.ErrNotExist):
		return "", err
	}
	if id == "" {
		_, err = Create(fs, name, now)
		return asideName, err
	}
	n, err := idOf(fs, name, id)
	if err == nil {
		err = createSegmentAs(fs, name, n, now.UnixMilli())
	}
	return asideName, err
}

// usualHeader is the length of a header since 2001 and until 2286.
const usualHeader = int64(len(magic) + 16 + len(" ts=") + 13 + len("\r\n"))

// RestoreHeader writes the first line of a segment anew, of which the id is
// known from elsewhere, and keeps a copy of the damaged one, whose name it
// returns. What is behind the line stays as it is.
func RestoreHeader(fs vfs.FS, name, id string, now time.Time) (asideName string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("repair the header of log segment %s: %w", name, err)
		}
	}()
	n, err := idOf(fs, name, id)
	if err != nil {
		return "", err
	}
	f, err := fs.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	old := make([]byte, maxAnnotation)
	got, err := f.ReadAt(old, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	// It ends where the first block or mark begins. The time in it is padded
	// to that length.
	length := usualHeader
	for _, next := range []string{"#B seq=", "#S seq="} {
		if i := int64(bytes.Index(old[:got], []byte(next))); i >= 0 {
			length = min(length, i)
		}
	}
	fixed := int64(len(magic) + 16 + len(" ts=") + len("\r\n"))
	if length <= fixed || length-fixed > 18 || length > int64(got) {
		return "", errors.New("it does not have the length of one")
	}
	asideName = path.Join(path.Dir(path.Dir(name)), TornDir, fmt.Sprintf("%s.header-%d", path.Base(name), now.UnixMilli()))
	if asideName, err = setAside(fs, asideName, bytes.NewReader(old[:length])); err != nil {
		return "", err
	}
	line := appendHex([]byte(magic), n, 16)
	line = fmt.Appendf(line, " ts=%0*d\r\n", int(length-fixed), now.UnixMilli()%pow10(length-fixed))
	if _, err := f.WriteAt(line, 0); err != nil {
		return asideName, err
	}
	return asideName, f.Sync()
}

func pow10(n int64) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
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
