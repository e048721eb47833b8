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
