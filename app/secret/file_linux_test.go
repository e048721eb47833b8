package secret

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const mounts = `22 1 0:21 / / rw,relatime - overlay overlay rw
23 22 0:22 / /run rw,nosuid - tmpfs tmpfs rw
24 22 0:23 / /etc/db\040secret ro,relatime shared:1 master:2 - tmpfs tmpfs ro
25 22 8:1 /home/me/db /run/secrets/db ro - ext4 /dev/sda1 rw
26 22 0:24 / /run/user/1000 rw - tmpfs tmpfs rw
27 22 0:25 / /tmp rw - tmpfs tmpfs rw
28 22 0:26 / /data rw - tmpfs tmpfs rw
29 22 8:2 / /data rw - ext4 /dev/sda2 rw
broken
30 - tmpfs
`

func TestMountOf(t *testing.T) {
	for path, want := range map[string]string{
		"/etc/passwd":                    "/ overlay",
		"/run/app/key":                   "/run tmpfs",
		"/etc/db secret/..data/password": "/etc/db secret tmpfs",
		"/etc/db secrets":                "/ overlay",
		"/run/secrets/db":                "/run/secrets/db ext4",
		"/run/secrets/dbx":               "/run tmpfs",
		"/data/x":                        "/data ext4",
	} {
		point, kind := mountOf(mounts, path)
		if got := point + " " + kind; got != want {
			t.Errorf("%s is on %s, want %s", path, got, want)
		}
	}
	for point, want := range map[string]bool{"/": true, "/run": true, "/tmp": true, "/run/user/1000": true, "/run/secrets": false, "/etc/db": false} {
		if everybodys(point) != want {
			t.Errorf("everybodys(%s) is %v", point, !want)
		}
	}
}

// An engine mounts secrets of all modes and owners; the mode that lets others
// write is refused even there.
func TestMountedFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "size=1m"); err != nil {
		t.Skipf("mounting is not allowed here: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(dir, "db")
	if err := os.WriteFile(path, []byte("s"), 0o444); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if v, err := Read(t.Context(), "x", File(path, FileOptions{})); err != nil || v.Reveal() != "s" {
		t.Errorf("mounted: %v", err)
	}
	if err := os.Chmod(path, 0o446); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(t.Context(), "x", File(path, FileOptions{})); err == nil {
		t.Error("mounted and writable by all: accepted")
	}
}

func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("changing owners needs root")
	}
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, []byte("s"), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12345, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(t.Context(), "x", File(path, FileOptions{})); err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
		t.Errorf("another user's file: %v", err)
	}
}

func TestPipeDoesNotBlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Read(t.Context(), "x", File(path, FileOptions{}))
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("pipe: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("reading a pipe blocks")
	}
}

func FuzzMountOf(f *testing.F) {
	f.Add(mounts, "/run/secrets/db")
	f.Add("1 2 3 4 / - x", "/")
	f.Add(" - ", "")
	f.Fuzz(func(t *testing.T, text, path string) {
		if point, _ := mountOf(text, path); point != "" && !within(path, point) {
			t.Errorf("%q is not within %q", path, point)
		}
	})
}

func FuzzEnvironValues(f *testing.F) {
	f.Add([]byte("A=1\x00SECRET=x\x00SECRETS=y\x00"), "SECRET")
	f.Add([]byte("SECRET=\x00=x\x00SECRET"), "SECRET")
	f.Add([]byte("SECRET=unterminated"), "SECRET")
	f.Fuzz(func(t *testing.T, block []byte, name string) {
		for _, s := range values(block, []string{name}) {
			if s.start >= s.end || s.end > len(block) || strings.ContainsRune(string(block[s.start:s.end]), 0) {
				t.Fatalf("span %v of %d bytes", s, len(block))
			}
			if got := string(block[s.start-1-len(name) : s.start]); got != name+"=" {
				t.Fatalf("value of %q", got)
			}
		}
	})
}

func FuzzField(f *testing.F) {
	f.Add([]byte(`{"password":"x","port":5432}`), "password")
	f.Add([]byte(`[1]`), "")
	f.Add([]byte(`{"a":null}`), "a")
	f.Fuzz(func(t *testing.T, b []byte, key string) {
		text, err := field(b, key)
		if err == nil && (len(text) == 0 || len(text) > maxSecret) {
			t.Errorf("%d bytes", len(text))
		}
	})
}
