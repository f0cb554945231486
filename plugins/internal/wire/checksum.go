package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// ChecksumPrefix names the only digest there is.
const ChecksumPrefix = "sha256:"

// Checksum reads a program to its end and returns its digest as plugins.hcl
// writes it.
func Checksum(program io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, program); err != nil {
		return "", err
	}
	return ChecksumPrefix + hex.EncodeToString(h.Sum(nil)), nil
}

// ParseChecksum requires the form of Checksum and returns it in lower case.
func ParseChecksum(s string) (string, error) {
	if len(s) == len(ChecksumPrefix)+2*sha256.Size && s[:len(ChecksumPrefix)] == ChecksumPrefix {
		if sum, err := hex.DecodeString(s[len(ChecksumPrefix):]); err == nil {
			return ChecksumPrefix + hex.EncodeToString(sum), nil
		}
	}
	return "", fmt.Errorf("checksum %q is not \"sha256:\" and 64 hex digits; `spillway plugins checksum FILE` prints it", s)
}
