package wal

import (
	"bytes"
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
func findEvidence(f io.ReaderAt, from, size int64, idSum uint32, lastGood uint64) (string, error) {
	const window = 1 << 20
	// Whatever the file holds, no more is read than a few times its size.
	budget := 8*(size-from) + 64*window
	buf := make([]byte, window+maxAnnotation)
	for at := from; at < size; {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if err != nil && err != io.EOF {
			return "", fmt.Errorf("read at %d: %w", at, err)
		}
		if n == 0 {
			break
		}
		b := buf[:n]
		step := int64(min(n, window))
		for i := 0; i < int(step); {
			j := bytes.IndexByte(b[i:step], '#')
			if j < 0 {
				break
			}
			i += j
			line := b[i:min(len(b), i+maxAnnotation)]
			end := bytes.IndexByte(line, '\n')
			a, ok := parseAnnotation(line[:end+1])
			if !ok || a.dur <= lastGood || a.len > size-at-int64(i)-int64(a.lineLen) {
				i++
				continue
			}
			if budget -= a.len; budget < 0 {
				return "too much behind it looks like blocks to tell a torn write from damage", nil
			}
			payload := make([]byte, a.len)
			if n, err := f.ReadAt(payload, at+int64(i)+int64(a.lineLen)); int64(n) < a.len {
				return "", fmt.Errorf("read at %d: %w", at+int64(i), err)
			}
			if a.valid(idSum, payload) {
				return fmt.Sprintf("but what follows at %d says that block %d was safe on the disk", at+int64(i), a.dur), nil
			}
			i++
		}
		at += step
	}
	return "", nil
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
	if err := setAside(fs, asideName, io.NewSectionReader(f, good, st.Size()-good)); err != nil {
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

func setAside(fs vfs.FS, name string, tail io.Reader) error {
	if err := vfs.MkdirAllSync(fs, path.Dir(name), dirMode); err != nil {
		return err
	}
	out, err := fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
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
	return err
}
