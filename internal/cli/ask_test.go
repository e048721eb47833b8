//go:build unix

package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// companion puts a script beside the test, where companions are looked for.
func companion(t *testing.T, name, script string) {
	t.Helper()
	dir, err := ProgramDir()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(file) })
}

func TestAskQuestion(t *testing.T) {
	t.Setenv("SECRET", "value")
	var stderr bytes.Buffer
	f := &Frame{Stderr: &stderr}
	companion(t, "test-echo", `cat; echo "$SECRET $1"; echo aside >&2; exit 3`)
	for _, tt := range []struct {
		name string
		env  []string
		want string
	}{{"inherited", nil, "in\nvalue a\n"}, {"empty", []string{}, "in\n a\n"}} {
		out, code, err := AskQuestion(t.Context(), f, Question{Executable: "test-echo", Args: []string{"a"}, Input: []byte("in\n"), Env: tt.env})
		if err != nil || code != ExitRefused || string(out) != tt.want {
			t.Errorf("%s: %q, %d, %v", tt.name, out, code, err)
		}
	}
	if !strings.Contains(stderr.String(), "aside") {
		t.Errorf("stderr has %q", stderr.String())
	}
	if out, _, err := AskQuestion(t.Context(), f, Question{Executable: "test-echo", Input: make([]byte, 1000), MaxAnswer: 999}); err == nil || !strings.Contains(err.Error(), "more than 999 bytes") {
		t.Errorf("a long answer: %d bytes, %v", len(out), err)
	}
	if _, _, err := AskQuestion(t.Context(), f, Question{Executable: "test-none"}); err == nil || !strings.Contains(err.Error(), "installed together") {
		t.Errorf("a companion that is not there: %v", err)
	}
}

// TestCompanionIsEnded: it does not outlive its time by much, and what it said
// until then is no answer.
func TestCompanionIsEnded(t *testing.T) {
	companion(t, "test-slow", "echo early; exec sleep 60")
	start := time.Now()
	out, _, err := AskQuestion(t.Context(), &Frame{Stderr: &bytes.Buffer{}}, Question{Executable: "test-slow", Within: 200 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "took more than 200ms") || out != nil {
		t.Errorf("%q, %v", out, err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestCompanionStays: one process answers many questions, and another one
// takes over where it ended, was too slow or said too much.
func TestCompanionStays(t *testing.T) {
	starts := filepath.Join(t.TempDir(), "starts")
	t.Setenv("SECRET", "value")
	companion(t, "test-lines", `echo x >>`+starts+`
while read -r line; do
	case $line in
	end) exit 1 ;;
	slow) exec sleep 60 ;;
	long) echo 0123456789012345678901234567890123456789 ;;
	*) echo "got $line$SECRET" ;;
	esac
done`)
	c := &Companion{Executable: "test-lines", Env: []string{"PATH=" + os.Getenv("PATH")}, MaxAnswer: 30, Stderr: os.Stderr, Within: 10 * time.Second}
	defer c.Close()
	started := func(want int) {
		t.Helper()
		data, err := os.ReadFile(starts)
		if err != nil || strings.Count(string(data), "x") != want {
			t.Errorf("%d starts, want %d: %v", strings.Count(string(data), "x"), want, err)
		}
	}
	answers := func() {
		t.Helper()
		for _, text := range []string{"a", "b"} {
			if out, err := c.Ask(t.Context(), []byte(text)); err != nil || string(out) != "got "+text {
				t.Errorf("%s: %q, %v", text, out, err)
			}
		}
	}
	answers()
	started(1)
	for i, tt := range []struct{ request, want string }{{"end", "ended without an answer"}, {"long", "more than 30 bytes"}} {
		if out, err := c.Ask(t.Context(), []byte(tt.request)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %q, %v", tt.request, out, err)
		}
		answers()
		started(i + 2)
	}
	c.Within = 100 * time.Millisecond
	if out, err := c.Ask(t.Context(), []byte("slow")); err == nil || !strings.Contains(err.Error(), "took more than") {
		t.Errorf("slow: %q, %v", out, err)
	}
	c.Within = 10 * time.Second
	answers()
	process := c.running.cmd
	c.Close()
	if process.ProcessState == nil || c.running != nil {
		t.Error("it runs on after Close")
	}
	if _, err := (&Companion{Executable: "test-none"}).Ask(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "installed together") {
		t.Errorf("a companion that is not there: %v", err)
	}
}
