package dockerfile

import (
	"errors"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/audittest"
)

// endless is a reader of one line without an end.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	e.read += int64(len(p))
	return len(p), nil
}

// TestEndlessLine reads a line of a gigabyte, and of any length: memory and
// time stay bounded.
func TestEndlessLine(t *testing.T) {
	for _, size := range []int64{1 << 30, math.MaxInt64} {
		r := &endless{}
		if _, err := Read(io.LimitReader(r, size)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("error %v", err)
		}
		if r.read > 4*MaxSize {
			t.Errorf("%d bytes were read", r.read)
		}
	}
}

// TestHostileFiles gives the largest file of each hostile shape.
func TestHostileFiles(t *testing.T) {
	full := func(unit string) string { return "FROM scratch\n" + strings.Repeat(unit, (MaxSize-100)/len(unit)) }
	for name, text := range map[string]string{
		"one long line":     full("a"),
		"many instructions": full("RUN a\n"),
		"many broken":       full("X\n"),
		"many stages":       full("FROM a AS b\n"),
		"chain of stages":   chain(),
		"continuations":     full("RUN a \\\n"),
		"comments":          full("# hardstand ignore=CHG-2.6a\n"),
		"quotes":            full("ENV a=\"'\n"),
		"variables":         full("ENV a=$a$a$a\n"),
		"many keys":         "FROM scratch\nENV " + strings.Repeat("a=b ", 16000),
		"subshells":         "FROM scratch\nRUN " + strings.Repeat("(", 30000),
		"substitutions":     "FROM scratch\nRUN " + strings.Repeat("$(", 30000),
		"nested sh":         "FROM scratch\nRUN " + strings.Repeat("sh -c ", 10000) + "x",
		"heredocs":          full("RUN <<EOF\nEOF\n"),
		"onbuild":           full("ONBUILD RUN a\n"),
		"not UTF-8":         "FROM scratch\nRUN \xff\xfe\xc0\x80\n",
		"NUL":               "FROM scratch\nRUN a\x00b\n",
		"byte order mark":   "\xef\xbb\xbfFROM scratch\n",
		"CR":                "FROM scratch\rRUN a\r",
		"empty":             "",
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			start := time.Now()
			most := watchHeap()
			res, err := Audit(t.Context(), Input{Name: "Dockerfile", Data: []byte(text)}, Options{Now: now})
			heap := most()
			if err != nil {
				t.Fatal(err)
			}
			// The limits are for a busy machine with the race detector on.
			if d := time.Since(start); d > 30*time.Second {
				t.Errorf("took %v", d)
			}
			if heap > 1<<30 {
				t.Errorf("%d MiB of heap", heap>>20)
			}
			if len(res.Findings) == 0 {
				t.Error("no findings")
			}
		})
	}
}

// watchHeap samples the heap until the function it returns is called, which
// says how large it was at most.
func watchHeap() func() uint64 {
	done, most := make(chan struct{}), make(chan uint64)
	go func() {
		var largest uint64
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			largest = max(largest, m.HeapAlloc)
			select {
			case <-tick.C:
			case <-done:
				tick.Stop()
				most <- largest
				return
			}
		}
	}()
	return func() uint64 {
		close(done)
		return <-most
	}
}

// chain is as many stages as fit, each built from the one before.
func chain() string {
	var b strings.Builder
	b.WriteString("FROM scratch AS s0\n")
	for i := 1; b.Len() < MaxSize/8; i++ {
		b.WriteString("FROM s" + itoa(i-1) + " AS s" + itoa(i) + "\nENV A=b\n")
	}
	return b.String()
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

func TestTooLarge(t *testing.T) {
	_, err := Audit(t.Context(), Input{Name: "Dockerfile", Data: make([]byte, MaxSize+1)}, Options{Now: now})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v", err)
	}
}

func FuzzAudit(f *testing.F) {
	for _, seed := range []string{
		"FROM scratch\nCOPY a /a\n", "FROM a AS b\nRUN <<EOF\ncurl x | sh\nEOF\n", "ARG A=1\nFROM x:${A:-2}\nONBUILD ADD a b\n",
		"# syntax=a\n# check=skip=all\n# escape=`\nFROM x\nUSER $A\n", "FROM x\nHEALTHCHECK CMD curl\nCMD a\nEXPOSE 1:2/UDP\n",
		"# hardstand ignore=x reason=\"\nFROM x\nLABEL a b\nENV a b c\n", "FROM scratch\nRUN --mount=type=secret,id=a cat /run/secrets/a > b\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		in := Input{Name: "Dockerfile", Data: data}
		res, err := Audit(t.Context(), in, Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		for _, finding := range res.Findings {
			for _, fault := range audittest.FindingFaults(finding) {
				t.Errorf("%s: %s", finding.Rule, fault)
			}
		}
		if _, err := Fix(t.Context(), in, FixOptions{Options: Options{Now: now}}); err != nil {
			t.Log(err)
		}
	})
}

func FuzzContext(f *testing.F) {
	f.Add("*\n!a\n", "COPY . /\n")
	f.Add("**/.git\n[a\n", "COPY .env /\n")
	dir := f.TempDir()
	for _, name := range []string{".env", "a", "b.pem"} {
		if err := os.WriteFile(dir+"/"+name, nil, 0o644); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, ignore, text string) {
		if len(ignore) > 1<<12 || len(text) > 1<<12 {
			return
		}
		if err := os.WriteFile(dir+"/.dockerignore", []byte(ignore), 0o644); err != nil {
			t.Fatal(err)
		}
		res, err := Audit(t.Context(), Input{Name: "Dockerfile", Data: []byte("FROM scratch\n" + text), Context: os.DirFS(dir), ContextName: "."}, Options{Now: now})
		if err != nil {
			return
		}
		for _, finding := range res.Findings {
			if finding.Verdict == audit.Unknown && finding.Needs == "" {
				t.Errorf("%s: unknown for nothing", finding.Rule)
			}
		}
	})
}
