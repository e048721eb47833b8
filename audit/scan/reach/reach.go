// Package reach finds out whether the vulnerable code of a Go module is in a
// program at all, or is called from a source tree, with govulncheck's library.
// It only ever takes findings away that the analysis was able to see: for a
// stripped program, or an advisory that lists no code, it says nothing.
//
// The analysis of a source runs the go command in that tree. Analyse only
// trees that you would build.
package reach

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	vuln "golang.org/x/vuln/scan"

	"github.com/openvex/go-vex/pkg/vex"

	"github.com/hardstand/hardstand/audit/scan"
	"github.com/hardstand/hardstand/audit/scan/osv"
)

// maxOutput bounds what the analysis may print, in bytes.
const maxOutput = 256 << 20

// Verdicts say by advisory what was found of it. Advisories that the analysis
// says nothing about are not in it.
type Verdicts map[string]scan.Reach

// Binary analyses a program that has its symbol table.
func Binary(ctx context.Context, file string, entries []*osv.Entry, env []string) (Verdicts, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("analyse %s: %w", file, err)
	}
	v, err := analyse(ctx, entries, env, vex.VulnerableCodeNotPresent, "is not in the program", "-mode=binary", abs)
	if err != nil {
		return nil, fmt.Errorf("analyse %s: %w", file, err)
	}
	return v, nil
}

// Source analyses all packages of a module. It needs the go command in env's
// PATH, and the module's requirements where go finds them.
func Source(ctx context.Context, dir string, entries []*osv.Entry, env []string) (Verdicts, error) {
	v, err := analyse(ctx, entries, env, vex.VulnerableCodeNotInExecutePath, "is not called", "-C", dir, "./...")
	if err != nil {
		return nil, fmt.Errorf("analyse the source in %s: %w", dir, err)
	}
	return v, nil
}

func analyse(ctx context.Context, entries []*osv.Entry, env []string, absent vex.Justification, words string, args ...string) (Verdicts, error) {
	listed := map[string]bool{}
	dir, err := os.MkdirTemp("", "hardstand-reach-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left is in the system's temporary directory
	for _, e := range entries {
		ok, err := code(e)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		listed[e.ID] = true
		if err := os.WriteFile(filepath.Join(dir, e.ID+".json"), e.Raw, 0o600); err != nil {
			return nil, err
		}
	}
	if len(listed) == 0 {
		return Verdicts{}, nil
	}
	var out limitedBuffer
	var stderr bytes.Buffer
	cmd := vuln.Command(ctx, append([]string{"-json", "-db=file://" + filepath.ToSlash(dir)}, args...)...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, strings.NewReader(""), &out, &stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("%w %s", err, strings.TrimSpace(stderr.String()))
	}
	return read(&out, listed, absent, words)
}

// code reports whether an advisory of the Go database lists the code that is
// vulnerable, in all its parts. Its identifier becomes a file name.
func code(e *osv.Entry) (bool, error) {
	if !strings.HasPrefix(e.ID, "GO-") || strings.Trim(e.ID, "GO-0123456789") != "" {
		return false, nil
	}
	var doc struct {
		Affected []struct {
			Specific struct {
				Imports []struct {
					Path string `json:"path"`
				} `json:"imports"`
			} `json:"ecosystem_specific"`
		} `json:"affected"`
	}
	if err := json.Unmarshal(e.Raw, &doc); err != nil {
		return false, fmt.Errorf("read %s: %w", e.ID, err)
	}
	for _, a := range doc.Affected {
		if len(a.Specific.Imports) == 0 {
			return false, nil
		}
	}
	return len(doc.Affected) > 0, nil
}

// message is what is read of govulncheck's output.
type message struct {
	Finding *struct {
		OSV   string  `json:"osv"`
		Trace []frame `json:"trace"`
	} `json:"finding"`
}

type frame struct {
	Package  string `json:"package"`
	Function string `json:"function"`
	Receiver string `json:"receiver"`
}

func (f frame) symbol() string {
	name := f.Function
	if f.Receiver != "" {
		name = strings.TrimPrefix(f.Receiver, "*") + "." + name
	}
	return f.Package + "." + name
}

// read turns findings into verdicts. An advisory counts as absent only where
// the analysis agreed that its module is vulnerable and saw no code of it.
func read(r io.Reader, listed map[string]bool, absent vex.Justification, words string) (Verdicts, error) {
	out := Verdicts{}
	dec := json.NewDecoder(r)
	for {
		var m message
		err := dec.Decode(&m)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the analysis: %w", err)
		}
		f := m.Finding
		if f == nil || len(f.Trace) == 0 || !listed[f.OSV] {
			continue
		}
		top := f.Trace[0]
		reached := "reaches " + top.symbol()
		switch old, seen := out[f.OSV]; {
		case top.Function != "" && (!seen || !old.Affected || reached < old.Evidence): // the same one each time
			out[f.OSV] = scan.Reach{Affected: true, Evidence: reached}
		case !seen:
			out[f.OSV] = scan.Reach{Justification: string(absent), Evidence: "the vulnerable code " + words}
		}
	}
}

// limitedBuffer refuses to grow over maxOutput.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxOutput {
		return 0, fmt.Errorf("the analysis printed more than %d bytes", maxOutput)
	}
	return b.Buffer.Write(p)
}
