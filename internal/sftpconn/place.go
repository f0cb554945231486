package sftpconn

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Scheme is the scheme of the URLs.
const Scheme = "sftp"

const defaultPort = "22"

// Place is what a URL says.
type Place struct {
	User     string
	Addr     string // host and port
	Dir      string // without a slash in front it is below the home directory
	Location string // the URL, for errors
}

// Parse reads sftp://USER@HOST:PORT/DIRECTORY; a directory that begins with /~/
// is below the home directory. Without a user it is who runs this. An error
// never shows a password.
func Parse(raw string) (Place, error) {
	const want = "want sftp://USER@HOST/DIRECTORY"
	if raw == "" {
		return Place{}, errors.New("sftp: url is missing; " + want)
	}
	u, err := url.Parse(raw)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // the URL itself may hold a password
		}
		return Place{}, fmt.Errorf("sftp: url: %w; %s", err, want)
	}
	switch _, secret := u.User.Password(); {
	case u.Scheme != Scheme:
		return Place{}, fmt.Errorf("sftp: url: scheme %q; %s", u.Scheme, want)
	case u.Hostname() == "":
		return Place{}, errors.New("sftp: url: the host is missing; " + want)
	case secret:
		return Place{}, errors.New("sftp: url: it holds a password; write password = env(\"…\") instead")
	case u.RawQuery != "" || u.Fragment != "":
		return Place{}, errors.New("sftp: url: there are no parameters; " + want)
	case slices.Contains(strings.Split(u.Path, "/"), ".."):
		return Place{}, errors.New("sftp: url: \"..\" in the path")
	}
	p := Place{User: u.User.Username(), Addr: net.JoinHostPort(u.Hostname(), defaultPort), Dir: path.Clean("/" + u.Path)}
	if u.Port() != "" {
		p.Addr = net.JoinHostPort(u.Hostname(), u.Port())
	}
	if rest, below := strings.CutPrefix(p.Dir+"/", "/~/"); below {
		p.Dir = path.Clean(rest) // "." at least
	}
	if p.User == "" {
		me, err := user.Current()
		if err != nil {
			return Place{}, fmt.Errorf("sftp: url: it names no user, and who runs this is unknown: %w", err)
		}
		p.User = me.Username
	}
	p.Location = strings.TrimSuffix((&url.URL{Scheme: Scheme, User: url.User(p.User), Host: u.Host, Path: u.Path}).String(), "/")
	return p, nil
}

// home is a file below the home directory.
func home(name ...string) string {
	dir, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(append([]string{dir}, name...)...)
}

// expand reads "~/" as the home directory.
func expand(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		return home(rest)
	}
	return name
}
