package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// clientID is the one field that may differ: HELLO's id.
var clientID = regexp.MustCompile(`(\$2\r\nid\r\n:)\d+`)

// TestProtocolLikeRedis sends the same bytes to a real redis-server and to the
// daemon, by TCP and by Unix socket, and wants the same bytes back, protocol
// errors and the end of the connection included.
func TestProtocolLikeRedis(t *testing.T) {
	t.Parallel()
	socket, _ := redisServer(t, t.TempDir())
	own := filepath.Join(t.TempDir(), "s.sock")
	d := startDaemon(t, t.TempDir(), "--unixsocket", own)
	long := func(s string, n int) string { return s + strings.Repeat("1", n) }
	floats := ""
	for _, f := range []string{
		"0x10", "0x1p3", "0X.8", "0x1.8", "-0x10", "+0xAp-1", "0x", "0xg", "0x1p", "0x1pp", "0b1", "0o7", "1e400", "-1e400", "1e4931", "1e4932", "1.19e4932",
		"1e4933", "1e5000", "1e99999999", "1e-4950", "1e-5000", "0x1p16383", "0x1p16384", "inf", "-infinity", "nan", "1_0", "0x1_0", "' 1'", "1e", "1e+5", "+5", ".5", "5.", "''",
	} {
		floats += "SET f 0.5\r\nINCRBYFLOAT f " + f + "\r\nINCRBYFLOAT f 1\r\nHSET h f 1\r\nHINCRBYFLOAT h f " + f + "\r\nSET f " + f + "\r\nINCRBYFLOAT f -1.5\r\nDEL h\r\n"
	}
	inputs := []string{
		// Requests that are none.
		"*-10\r\nPING\r\n", "*0\r\nPING\r\n", "*01\r\nPING\r\n", "*+1\r\n$4\r\nPING\r\n", "*-0\r\n", "*\r\n", "*abc", "*abc\r\n",
		"*20000000000\r\nPING\r\n", "*2147483648\r\n", "*2147483647\r\n", long("*", 70000), long("*1\r\n$", 70000),
		"*1\r\nfoo\r\n", "*1\r\n\n\r\n", "*1\r\n\xff\r\n", "*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "*1\n$4\nPING\n",
		"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$blabla\r\n", "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$-10\r\n", "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$2000000000\r\n",
		"*1\r\n$536870913\r\n", "*1\r\n$536870912\r\n", "*1\r\n$1a\r\n", "*1\r\n$\r\n", "*1\r\n$04\r\nPING\r\n", "*1\r\n$999999999999\r\n",
		"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n", "*1\r\n$4\rXPING\r\n", "*1\rX$4\r\nPING\r\n", "*1\r\n$0\r\n\r\n", "*1\r\n$4\r\nPI",
		"PING\r\n*1\r\n$-5\r\nPING\r\n", "MULTI\r\n*1\r\nfoo\r\n", "HELLO 3\r\n*1\r\nfoo\r\n", "CLIENT REPLY OFF\r\n*1\r\nfoo\r\n",
		// Inline commands.
		"PING\nPING\n", "\r\n\r\nPING\r\n", "   \r\nPING\r\n", "  PING  \t hello \r\n", "$5\r\n", "+PING\r\n", "GET\r\nNOSUCH a b\r\nPING\r\n",
		"SET k \"a\\x41\\n\\\"b\"\r\nGET k\r\n", "SET k 'it\\'s'\r\nGET k\r\n", "SET k \"\"\r\nGET k\r\n", "PING\r\nset a \"b\r\n",
		"set \"foo\r\n", "set ''foo''\r\n", "set 'a'b c\r\n", strings.Repeat("x", 70000), strings.Repeat("x", 65536) + "\r\n",
		// NUL is where a line ends, or not at all.
		"PING\r\nPI\x00NG\r\nPING\r\n", "PING \x00\r\n", "PING\x00" + strings.Repeat("x", 70000) + "\r\n", "SET k \"a\\x00b\"\r\nGET k\r\n",
		// HTTP.
		"POST / HTTP/1.1\r\nPING\r\n", "PING\r\nGET / HTTP/1.1\r\nHost: x\r\nPING\r\n", "*1\r\n$5\r\nhost:\r\nPING\r\n", "POST\r\n", "postx\r\nHOST\r\n",
		// Numbers, and what is not there.
		"SELECT abc\r\nSELECT 99\r\nSELECT -1\r\nSELECT 99999999999999999999\r\nSELECT 4294967296\r\nSELECT ''\r\n",
		"SELECT 9\r\nSCAN -1\r\nSCAN -0\r\nSCAN 18446744073709551616\r\nSCAN +0\r\nSCAN +\r\nSCAN -\r\nSCAN ' 1'\r\nSCAN 1a\r\nSCAN ''\r\nSCAN 0x1\r\nHSCAN none -1\r\nSCAN --1\r\nSCAN -1a\r\n",
		"COMMAND INFO nosuch\r\nCOMMAND INFO config|nosuch nosuch|x\r\nHELLO 3\r\nCOMMAND INFO nosuch\r\n",
		floats,
		// Leaving, and what comes behind it.
		"QUIT\r\nPING\r\n", "*1\r\n$4\r\nQUIT\r\n*1\r\nfoo\r\n", "RESET\r\n", "SELECT 1\r\nSET only1 x\r\nRESET\r\nGET only1\r\n", "MULTI\r\nRESET\r\nEXEC\r\n",
		// HELLO and AUTH without a password.
		"HELLO\r\n", "HELLO 2\r\n", "HELLO 3\r\nHGETALL none\r\nGET none\r\n", "HELLO 4\r\n", "HELLO x\r\n", "HELLO 3 AUTH a\r\n", "HELLO 3 FOO\r\n",
		"HELLO 3 SETNAME \"a b\"\r\n", "HELLO 3 SETNAME me\r\nCLIENT GETNAME\r\n", "AUTH x\r\n", "AUTH default x\r\n", "AUTH u x\r\n", "AUTH a b c\r\n",
		// Commands whose parameters steer the connection or the server.
		"SHUTDOWN FOO\r\n", "SHUTDOWN SAVE NOSAVE\r\n", "SHUTDOWN ABORT NOW\r\n", "SHUTDOWN ABORT\r\n", "MULTI\r\nSHUTDOWN\r\nEXEC\r\n",
		"CLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY ON\r\nPING\r\n", "CLIENT REPLY SKIP\r\nPING\r\nPING\r\n", "CLIENT REPLY X\r\n",
		"CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nPING\r\nPING\r\n", "CLIENT REPLY OFF\r\nCLIENT REPLY SKIP\r\nPING\r\nCLIENT REPLY ON\r\nPING\r\n",
		"CLIENT KILL ID 99999\r\n", "CLIENT KILL 1.2.3.4:5\r\n", "CLIENT KILL ID 0\r\n", "CLIENT KILL TYPE x\r\n", "CLIENT NO-EVICT on\r\nCLIENT NO-EVICT x\r\n",
		"CLIENT\r\n", "CLIENT FOO\r\n", "CLIENT LIST ID x\r\n", "CLIENT SETNAME \"a b\"\r\n", "CONFIG GET client-output-buffer-limit\r\n",
		"CONFIG SET client-output-buffer-limit foo\r\n", "CONFIG SET client-output-buffer-limit 'normal a 0 0'\r\n",
		"CONFIG SET client-output-buffer-limit 'x 0 0 0'\r\n", "CONFIG SET timeout -1\r\n", "CONFIG SET timeout a\r\n", "CONFIG SET maxclients 0\r\n",
		"CONFIG SET client-query-buffer-limit 1\r\n", "CONFIG GET timeout\r\n", "CONFIG SET nosuch 1\r\n",
		// Transactions.
		"MULTI\r\nMULTI\r\nPING\r\nEXEC\r\n", "EXEC\r\n", "DISCARD\r\n", "MULTI\r\nNOSUCH\r\nEXEC\r\n", "MULTI\r\nWATCH a\r\nEXEC\r\n", "MULTI\r\nSET a b\r\nLPUSH a x\r\nGET a\r\nEXEC\r\n",
		"WATCH t\r\nSET t 1\r\nMULTI\r\nGET t\r\nEXEC\r\n", "WATCH t\r\nSET t 2\r\nUNWATCH\r\nMULTI\r\nGET t\r\nEXEC\r\n", "MULTI\r\nSET d 1\r\nDISCARD\r\nGET d\r\n",
	}
	ours := func(network, addr, in string) string {
		return clientID.ReplaceAllString(talk(t, network, addr, in), "${1}0")
	}
	for _, in := range inputs {
		want := ours("unix", socket, in)
		for network, addr := range map[string]string{"tcp": d.addr, "unix": own} {
			if got := ours(network, addr, in); got != want {
				t.Errorf("%.60q (%d bytes) by %s:\n got %.300q\nwant %.300q", in, len(in), network, got, want)
			}
		}
	}
	if t.Failed() {
		t.Log(d.log.String())
	}
}

// TestPasswordLikeRedis: what a client may do, and how much it may send, before
// it has given its password.
func TestPasswordLikeRedis(t *testing.T) {
	t.Parallel()
	socket, _ := redisServer(t, t.TempDir(), "--requirepass", "pw")
	d := startDaemon(t, t.TempDir(), "--requirepass", "pw")
	for _, in := range []string{
		"PING\r\nAUTH pw\r\nPING\r\n", "AUTH bad\r\n", "AUTH default pw\r\nPING\r\n", "AUTH other pw\r\n", "NOSUCH\r\n", "GET\r\n", "QUIT\r\n", "RESET\r\nPING\r\n",
		"AUTH pw\r\nRESET\r\nPING\r\n", "MULTI\r\nAUTH pw\r\nMULTI\r\nPING\r\nEXEC\r\n",
		"HELLO\r\n", "HELLO 3 SETNAME x\r\n", "HELLO 3 AUTH default bad\r\n", "HELLO 2 AUTH default pw\r\nPING\r\n", "HELLO 3 AUTH default pw\r\nGET none\r\n",
		"*11\r\n$4\r\nPING\r\n", "*10\r\n", "*1\r\n$16385\r\n", "*1\r\n$16384\r\n", "*1\r\n$600000000\r\n", strings.Repeat("x", 70000),
		"AUTH pw\r\n*1\r\n$16385\r\n", "AUTH pw\r\n*11\r\n$4\r\nPING\r\n",
	} {
		want := clientID.ReplaceAllString(talk(t, "unix", socket, in), "${1}0")
		if got := clientID.ReplaceAllString(talk(t, "tcp", d.addr, in), "${1}0"); got != want {
			t.Errorf("%.60q:\n got %.300q\nwant %.300q", in, got, want)
		}
	}
	// Who was let in without a password stays in when one is set; who comes
	// later does not get in.
	if got := talk(t, "tcp", d.addr, "AUTH pw\r\nCONFIG SET requirepass ''\r\n"); got != "+OK\r\n+OK\r\n" {
		t.Fatalf("taking the password away: %q", got)
	}
	early := d.dial()
	if got := early.ask("PING"); got != `"PONG"` {
		t.Fatalf("PING without a password: %s", got)
	}
	if got := early.ask("CONFIG SET requirepass new"); got != `"OK"` {
		t.Fatalf("setting a password: %s", got)
	}
	if got := early.ask("PING"); got != `"PONG"` {
		t.Errorf("the client that set the password: %s", got)
	}
	if got := d.dial().ask("PING"); !strings.Contains(got, "NOAUTH") {
		t.Errorf("a client that comes after it: %s", got)
	}
}
