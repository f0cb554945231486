package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"github.com/spillwaydb/spillway/core/vfs"
)

// TornDir is the directory, beside that of the log, where RepairTail keeps what
// it cuts off.
const TornDir = "torn"

// findEvidence looks behind bad bytes at offset from for a valid block or mark
// that says that a block after the last good one had been fsynced: then the bad
// bytes are no torn write. It returns what it found, "" for nothing.
func findEvidence(f io.ReaderAt, from, size int64, idSum uint32, lastGood uint64) (said string, err error) {
	want := func(a *annotation) bool { return a.dur > lastGood }
	gaveUp, err := eachBlock(f, from, size, idSum, want, func(at int64, a *annotation, _ []byte) bool {
		said = fmt.Sprintf("but what follows at %d says that block %d was safe on the disk", at, a.dur)
		return false
	})
	if gaveUp && said == "" {
		said = "too much behind it looks like blocks to tell a torn write from damage"
	}
	return said, err
}

// eachBlock hands the valid blocks and marks between from and size that want
// accepts by their line to found, whatever lies between them, until found
// returns false. It gives up when there is far more that looks like blocks than
// there are bytes.
func eachBlock(f io.ReaderAt, from, size int64, idSum uint32, want func(*annotation) bool,
	found func(at int64, a *annotation, payload []byte) bool) (gaveUp bool, err error) {
	const window = 1 << 20
	// Whatever the file holds, no more is read than a few times its size.
	budget := 8*(size-from) + 64*window
	buf := make([]byte, window+maxAnnotation)
	for at := from; at < size; {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if err != nil && err != io.EOF {
			return false, fmt.Errorf("read at %d: %w", at, err)
		}
		if n == 0 {
			break
		}
		b := buf[:n]
		next := at + int64(min(n, window))
		for i := 0; at+int64(i) < next; i++ {
			j := bytes.IndexByte(b[i:int(next-at)], '#')
			if j < 0 {
				break
			}
			i += j
			line := b[i:min(len(b), i+maxAnnotation)]
			end := bytes.IndexByte(line, '\n')
			a, ok := parseAnnotation(line[:end+1])
			start := at + int64(i)
			behind := start + int64(a.lineLen) + a.len
			if !ok || behind > size || !want(&a) {
				continue
			}
			if budget -= a.len; budget < 0 {
				return true, nil
			}
			if a.len > readBuffer { // one that is none costs no memory
				whole, err := a.validAt(f, start+int64(a.lineLen), idSum)
				if err != nil {
					return false, fmt.Errorf("read at %d: %w", start, err)
				}
				if !whole {
					continue
				}
			}
			payload := make([]byte, a.len)
			if n, err := f.ReadAt(payload, start+int64(a.lineLen)); int64(n) < a.len {
				return false, fmt.Errorf("read at %d: %w", start, err)
			}
			if !a.valid(idSum, payload) {
				continue
			}
			if !found(start, &a, payload) {
				return false, nil
			}
			if behind >= next {
				next = behind
				break
			}
			i = int(behind-at) - 1
		}
		at = next
	}
	return false, nil
}

// RepairTail sets a torn tail aside and cuts it off: the bytes of the segment
// from good on are copied to a file in TornDir, whose name it returns, and only
// once that is durable is the segment truncated, durably too. With no bytes
// behind good it does nothing and returns "".
func RepairTail(fs vfs.FS, name string, good int64, now time.Time) (asideName string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("repair log segment %s: %w", name, err)
		}
	}()
	f, err := fs.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() <= good {
		return "", err
	}
	asideName = path.Join(path.Dir(path.Dir(name)), TornDir, fmt.Sprintf("%s.%d-%d", path.Base(name), good, now.UnixMilli()))
	asideName, err = setAside(fs, asideName, io.NewSectionReader(f, good, st.Size()-good))
	if err != nil {
		return "", fmt.Errorf("set the torn tail aside in %s: %w", asideName, err)
	}
	if err := f.Truncate(good); err != nil {
		return "", err
	}
	return asideName, f.Sync()
}

// Harden makes the bytes of a segment from offset safe up to good durable, by
// writing them again. They may have been read from memory and be on no disk: an
// fsync that failed, in an earlier process, has let the operating system forget
// that they are still to be written, and no later fsync brings that back.
func Harden(fs vfs.FS, name string, safe, good int64) (err error) {
	if safe >= good {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("harden log segment %s: %w", name, err)
		}
	}()
	f, err := fs.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, min(good-safe, readBuffer))
	for at := safe; at < good; {
		b := buf[:min(good-at, int64(len(buf)))]
		if _, err := f.ReadAt(b, at); err != nil {
			return fmt.Errorf("read at %d: %w", at, err)
		}
		if _, err := f.WriteAt(b, at); err != nil {
			return fmt.Errorf("write at %d: %w", at, err)
		}
		at += int64(len(b))
	}
	return f.Sync()
}

// setAside writes tail to a file of its own, durably, and returns its name:
// the one given, or one like it if that is taken.
func setAside(fs vfs.FS, base string, tail io.Reader) (name string, err error) {
	if err := vfs.MkdirAllSync(fs, path.Dir(base), dirMode); err != nil {
		return base, err
	}
	name = base
	out, err := fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	for i := 1; errors.Is(err, os.ErrExist); i++ {
		name = fmt.Sprintf("%s.%d", base, i)
		out, err = fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	}
	if err != nil {
		return name, err
	}
	_, err = io.Copy(out, tail)
	if err == nil {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fs.SyncDir(path.Dir(name))
	}
	if err != nil {
		_ = fs.Remove(name) // half a copy, of what stays where it is
	}
	return name, err
}
