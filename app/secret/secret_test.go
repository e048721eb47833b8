package secret_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hardstand/hardstand/app/secret"
)

// changing is a source whose answer a test sets.
type changing struct {
	mu   sync.Mutex
	text string
	err  error
	n    int
}

func (c *changing) set(text string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text, c.err = text, err
}

func (c *changing) String() string { return "test store" }

func (c *changing) Get(context.Context) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return []byte(c.text), c.err
}

func give(name, text string, err error) secret.Source {
	return secret.Func(name, func(context.Context) ([]byte, error) { return []byte(text), err })
}

func TestSourcesAreAskedInOrder(t *testing.T) {
	none := give("none", "", fmt.Errorf("nothing here: %w", secret.ErrNotFound))
	broken := give("broken", "", errors.New("permission denied"))
	for _, c := range []struct {
		name    string
		sources []secret.Source
		want    string
		err     string
	}{
		{"first", []secret.Source{give("a", "1", nil), give("b", "2", nil)}, "1", ""},
		{"passes-over-absent", []secret.Source{none, give("b", "2", nil)}, "2", ""},
		{"stops-at-broken", []secret.Source{none, broken, give("b", "2", nil)}, "", "read secret db from broken: permission denied"},
		{"empty-is-broken", []secret.Source{give("a", "", nil), give("b", "2", nil)}, "", "read secret db from a: empty"},
		{"nowhere", []secret.Source{none, none}, "", "read secret db: secret not found in none, none"},
		{"no-sources", nil, "", "read secret db: no sources given"},
	} {
		v, err := secret.Read(t.Context(), "db", c.sources...)
		if text := fmt.Sprint(err); v.Reveal() != c.want || c.err != "" && text != c.err || c.err == "" && err != nil {
			t.Errorf("%s: %q, %v; want %q, %q", c.name, v.Reveal(), err, c.want, c.err)
		}
		if c.name == "nowhere" != errors.Is(err, secret.ErrNotFound) {
			t.Errorf("%s: ErrNotFound: %v", c.name, err)
		}
	}
}

func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		store := &changing{text: "one"}
		var seen []string
		s, err := secret.Open(t.Context(), "db", secret.Options[string]{
			Sources: []secret.Source{store}, Refresh: time.Minute,
			OnRotate: func(old, now secret.String) {
				seen = append(seen, old.Reveal()+">"+now.Reveal())
				if now.Reveal() == "three" {
					panic("listener quotes three")
				}
			},
			Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(70 * time.Second)
		store.set("two", nil)
		time.Sleep(70 * time.Second)
		if got := s.Get().Reveal(); got != "two" {
			t.Errorf("after rotation: %s", got)
		}
		store.set("", errors.New("store is down"))
		time.Sleep(2 * time.Minute)
		if got := s.Get().Reveal(); got != "two" {
			t.Errorf("while the store is down: %q", got)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Errorf("Check within the maximum age: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "store is down") {
			t.Errorf("Check over the maximum age: %v", err)
		}
		store.set("three", nil)
		time.Sleep(11 * time.Second) // a failed reading is repeated soon
		if err := s.Check(t.Context()); err != nil || s.Get().Reveal() != "three" {
			t.Errorf("recovered: %v", err)
		}
		s.Close()
		if got := strings.Join(seen, " "); got != "one>two two>three" {
			t.Errorf("rotations %s", got)
		}
		for _, word := range []string{"one", "two", "three"} {
			if strings.Contains(logged.String(), word) {
				t.Errorf("the log shows %s:\n%s", word, &logged)
			}
		}
		if !strings.Contains(logged.String(), "secret rotated") || !strings.Contains(logged.String(), "store is down") {
			t.Errorf("log:\n%s", &logged)
		}
	})
}

func TestParse(t *testing.T) {
	number := func(b []byte) (int, error) { return strconv.Atoi(string(b)) }
	s, err := secret.Open(t.Context(), "pin", secret.Options[int]{Sources: []secret.Source{give("a", "42", nil)}, Parse: number})
	if err != nil || s.Get().Reveal() != 42 || s.From() != "a" {
		t.Fatalf("%v", err)
	}
	s.Close()
	for name, parse := range map[string]func([]byte) (int, error){
		"error": number,
		"panic": func(b []byte) (int, error) { panic(string(b)) },
	} {
		_, err := secret.Open(t.Context(), "pin", secret.Options[int]{Sources: []secret.Source{give("a", hidden, nil)}, Parse: parse})
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), hidden) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := secret.Open(t.Context(), "pin", secret.Options[int]{Sources: []secret.Source{give("a", "1", nil)}}); err == nil {
		t.Error("a type without Parse is accepted")
	}
	if _, err := secret.Open(t.Context(), "pin", secret.Options[string]{Refresh: -1}); err == nil {
		t.Error("a negative interval is accepted")
	}
	b, err := secret.Open(t.Context(), "key", secret.Options[[]byte]{Sources: []secret.Source{give("a", "raw", nil)}})
	if err != nil || string(b.Get().Reveal()) != "raw" {
		t.Errorf("bytes: %v", err)
	}
}

func TestReadersWhileRotating(t *testing.T) {
	var n atomic.Int64
	s, err := secret.Open(t.Context(), "x", secret.Options[string]{
		Sources: []secret.Source{secret.Func("counter", func(context.Context) ([]byte, error) {
			return strconv.AppendInt(nil, n.Add(1), 10), nil
		})},
		Refresh: time.Millisecond, Logger: slog.New(slog.DiscardHandler), OnRotate: func(_, _ secret.String) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				if s.Get().Reveal() == "" {
					t.Error("empty value")
				}
				_, _ = s.Age(), s.Check(context.Background())
			}
		})
	}
	wg.Go(func() {
		for range 200 {
			if err := s.Refresh(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	s.Close()
	s.Close()
}

func TestEnvironment(t *testing.T) {
	t.Setenv("APP_SECRET", "from-env")
	t.Setenv("APP_EMPTY", "")
	ctx := t.Context()
	if v, err := secret.Read(ctx, "x", secret.Env("APP_EMPTY"), secret.Env("APP_SECRET")); err != nil || v.Reveal() != "from-env" {
		t.Errorf("Env: %v", err)
	}
	once := secret.EnvOnce("APP_SECRET")
	for range 2 {
		if v, err := secret.Read(ctx, "x", once); err != nil || v.Reveal() != "from-env" {
			t.Errorf("EnvOnce: %v", err)
		}
	}
	if v, set := os.LookupEnv("APP_SECRET"); set {
		t.Errorf("variable is still set: %q", v)
	}
	path := filepath.Join(t.TempDir(), "s")
	t.Setenv("APP_FILE", path)
	if _, err := secret.Read(ctx, "x", secret.EnvFile("APP_FILE", secret.FileOptions{})); err == nil || errors.Is(err, secret.ErrNotFound) {
		t.Errorf("a promised file that is missing: %v", err)
	}
	write(t, path, "from-file\r\n", 0o600)
	if v, err := secret.Read(ctx, "x", secret.EnvFile("APP_NONE", secret.FileOptions{}), secret.EnvFile("APP_FILE", secret.FileOptions{})); err != nil || v.Reveal() != "from-file" {
		t.Errorf("EnvFile: %v", err)
	}
}

// The kernel's copy of the environment is what /proc/PID/environ shows, so the
// test is a process of its own.
func TestClearEnvWipesTheInitialEnvironment(t *testing.T) {
	if os.Getenv("CLEARENV_CHILD") != "" {
		before, err := os.ReadFile("/proc/self/environ")
		if err != nil {
			t.Skip("no /proc")
		}
		if err := secret.ClearEnv("APP_SECRET", "APP_ABSENT"); err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile("/proc/self/environ")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(before, []byte(hidden)) || bytes.Contains(after, []byte("APP_SECRET="+hidden)) {
			t.Errorf("before %q\nafter %q", before, after)
		}
		if !bytes.Contains(after, []byte("APP_SECRET_OTHER=stays")) || len(after) != len(before) {
			t.Errorf("other variables changed: %q", after)
		}
		if out, err := exec.Command("env").Output(); err != nil || bytes.Contains(out, []byte(hidden)) {
			t.Errorf("a child process inherits it: %v %s", err, out)
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestClearEnvWipesTheInitialEnvironment$")
	cmd.Env = append(os.Environ(), "CLEARENV_CHILD=1", "APP_SECRET="+hidden, "APP_SECRET_OTHER=stays")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, text string
		mode       os.FileMode
		o          secret.FileOptions
		want, err  string
	}{
		{"owner", "s", 0o400, secret.FileOptions{}, "s", ""},
		{"group", "s\n", 0o440, secret.FileOptions{}, "s", ""},
		{"one-newline-only", "s\n\n", 0o400, secret.FileOptions{}, "s\n", ""},
		{"keep-newline", "s\n", 0o400, secret.FileOptions{KeepNewline: true}, "s\n", ""},
		{"world", "s", 0o444, secret.FileOptions{}, "", "mode 0444 lets everybody read it"},
		{"world-allowed", "s", 0o444, secret.FileOptions{WorldReadable: true}, "s", ""},
		{"world-writable", "s", 0o646, secret.FileOptions{WorldReadable: true}, "", "mode 0646 lets others write it"},
		{"group-writable", "s", 0o660, secret.FileOptions{}, "", "mode 0660 lets others write it"},
		{"empty", "\n", 0o400, secret.FileOptions{}, "", "empty"},
		{"large", strings.Repeat("x", 1<<20+1), 0o400, secret.FileOptions{}, "", "larger than"},
		{"largest", strings.Repeat("x", 1<<20), 0o400, secret.FileOptions{}, strings.Repeat("x", 1<<20), ""},
	} {
		path := filepath.Join(dir, c.name)
		write(t, path, c.text, c.mode)
		link := path + ".link" // Kubernetes mounts links
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{path, link} {
			v, err := secret.Read(t.Context(), "x", secret.File(p, c.o))
			if v.Reveal() != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %.20q, %v; want %.20q, %q", c.name, v.Reveal(), err, c.want, c.err)
			}
		}
	}
	if _, err := secret.Read(t.Context(), "x", secret.File(filepath.Join(dir, "none"), secret.FileOptions{})); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := secret.Read(t.Context(), "x", secret.File(dir, secret.FileOptions{})); err == nil || errors.Is(err, secret.ErrNotFound) {
		t.Errorf("folder: %v", err)
	}
}

func TestCredential(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "db"), "s", 0o400)
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := secret.Read(t.Context(), "x", secret.Credential("db")); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("outside a service: %v", err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if v, err := secret.Read(t.Context(), "x", secret.Credential("db")); err != nil || v.Reveal() != "s" {
		t.Errorf("%v", err)
	}
	for _, name := range []string{"", ".", "..", "../db", "a/b"} {
		if _, err := secret.Read(t.Context(), "x", secret.Credential(name)); err == nil || errors.Is(err, secret.ErrNotFound) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}
