package sign

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/sign/kmstest"
)

// TestMain makes the test binary a plugin when it is called by the plugin's
// name: the other side of the protocol is a process, as in life.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == kmstest.Program {
		if err := kmstest.Main(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// plugins returns a directory with the test's plugin and with programs that are
// shell scripts: name to text.
func plugins(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, kmstest.Program)); err != nil {
		t.Fatal(err)
	}
	for name, text := range scripts {
		file := filepath.Join(dir, "sigstore-kms-"+name)
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestKMS(t *testing.T) {
	service := KMS{Dir: plugins(t, nil)}
	s, err := service.Load(context.Background(), "test://release-key")
	if err != nil {
		t.Fatal(err)
	}
	checkWithCosign(t, s)
	other, err := service.Load(context.Background(), "test://another")
	if err != nil {
		t.Fatal(err)
	}
	if other.Key().ID == s.Key().ID {
		t.Error("two keys of the service are the same")
	}
}

func TestKMSRefuses(t *testing.T) {
	dir := plugins(t, map[string]string{
		"hang":   `exec sleep 60`,
		"child":  `sleep 2 & exit 1`, // its child keeps stdout open
		"flood":  `cat /dev/zero`,
		"text":   `echo hello`,
		"silent": `exit 3`,
		"denied": `echo '{"errorMessage": "AccessDenied: kms:Sign"}'; exit 1`,
		"empty":  `echo '{}'`,
	})
	if err := os.WriteFile(filepath.Join(dir, "sigstore-kms-plain"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin") // the PATH must not matter
	for _, c := range []struct{ reference, dir, want string }{
		{"absent://key", dir, dir + "/sigstore-kms-absent: make kms"},
		{"test://key", t.TempDir(), "PATH is not searched"},
		{"test://key", "relative", "no absolute path"},
		{"plain://key", dir, "is no program"},
		{"hang://key", dir, "no answer within 300ms"},
		{"child://key", dir, "exit status 1"},
		{"flood://key", dir, "over 1048576 bytes"},
		{"text://key", dir, "read the answer"},
		{"silent://key", dir, "exit status 3"},
		{"denied://key", dir, "AccessDenied: kms:Sign"},
		{"empty://key", dir, "without one"},
		{"hardstand.key", dir, "NAME://KEY"},
		{"../../bin/sh://x", dir, "NAME://KEY"},
		{"awskms:// a key", dir, "NAME://KEY"},
		{"UPPER://key", dir, "NAME://KEY"},
	} {
		service := KMS{Dir: c.dir}
		if c.reference == "hang://key" {
			service.Timeout = 300 * time.Millisecond
		}
		start := time.Now()
		_, err := service.Load(context.Background(), c.reference)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s in %s: %v, want %q", c.reference, c.dir, err, c.want)
		}
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%s: took %v", c.reference, took)
		}
	}
}

// TestKMSChecksSignatures has a plugin that signs with another key than the one
// it shows.
func TestKMSChecksSignatures(t *testing.T) {
	dir := plugins(t, map[string]string{"liar": `
case "$2" in *signMessage*) set -- "$1" "$(printf %s "$2" | sed s/release/other/)" ;; esac
exec "$(dirname "$0")/` + kmstest.Program + `" "$@"`})
	s, err := KMS{Dir: dir}.Load(context.Background(), "liar://release")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.SignStatement(context.Background(), SignatureStatement(testDigest(t, "image")))
	if err == nil || !strings.Contains(err.Error(), "does not verify") {
		t.Errorf("error = %v", err)
	}
}

func TestKMSStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := KMS{Dir: plugins(t, map[string]string{"hang": "exec sleep 60"})}.Load(ctx, "hang://key")
	if err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("error = %v", err)
	}
}

// TestKMSStderr has what a plugin says reach the user, in success too.
func TestKMSStderr(t *testing.T) {
	dir := plugins(t, map[string]string{"warn": `
echo "the token expires soon" >&2
exec "$(dirname "$0")/` + kmstest.Program + `" "$@"`})
	var stderr bytes.Buffer
	if _, err := (KMS{Dir: dir, Stderr: &stderr}).Load(context.Background(), "warn://key"); err != nil {
		t.Fatal(err)
	}
	if stderr.String() != "the token expires soon\n" {
		t.Errorf("stderr = %q", &stderr)
	}
}

// TestKMSEnvironment keeps the passphrases of keys in files from plugins, which
// need the rest of the environment for their service.
func TestKMSEnvironment(t *testing.T) {
	t.Setenv("HARDSTAND_PASSWORD", "one")
	t.Setenv("COSIGN_PASSWORD", "two")
	t.Setenv("VAULT_ADDR", "three")
	dir := plugins(t, map[string]string{"say": `
echo "$HARDSTAND_PASSWORD-$COSIGN_PASSWORD-$VAULT_ADDR" >&2
exec "$(dirname "$0")/` + kmstest.Program + `" "$@"`})
	var stderr bytes.Buffer
	if _, err := (KMS{Dir: dir, Stderr: &stderr}).Load(context.Background(), "say://key"); err != nil {
		t.Fatal(err)
	}
	if stderr.String() != "--three\n" {
		t.Errorf("a plugin saw %q", &stderr)
	}
}

func FuzzKMSAnswer(f *testing.F) {
	f.Add([]byte(`{"publicKey":{"publicKeyPEM":"LS0t"}}`))
	f.Add([]byte(`{"signMessage":{"signature":"AAAA"}}`))
	f.Add([]byte(`{"errorMessage":"denied","signMessage":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if resp, err := parseAnswer(data); err == nil && resp.ErrorMessage != "" {
			t.Errorf("an answer with the error %q counts", resp.ErrorMessage)
		}
	})
}
