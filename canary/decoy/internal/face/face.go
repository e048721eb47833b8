// Package face is the part that a decoy plays: what the real program would
// print and return in an image where nothing works. It reads nothing but what
// World offers, and writes nothing but the two streams.
package face

import (
	"io"
	"strconv"
	"strings"
	"time"
)

// Call is one execution.
type Call struct {
	Name  string   // applet
	Args  []string // without the program
	Quiet bool     // do the real thing where the applet can
	World World
}

// World is what an applet may know.
type World struct {
	Cwd      string
	UID, GID int
	Groups   []int
	Environ  []string // NAME=value; only harmless names are ever printed
	PID      int
	Now      time.Time
	Release  string // of the kernel
	Machine  string
	Host     string
	Terminal bool // standard input is one

	In       io.Reader
	Out, Err io.Writer

	// List returns the names in a directory, Open a file; the error's text
	// follows strerror(3). Used in quiet mode only.
	List func(dir string) ([]string, error)
	Open func(file string) (io.ReadCloser, error)
	// Exists says whether an absolute path exists.
	Exists func(file string) bool
}

// Play acts as c.Name and returns its exit code.
func Play(c Call) int {
	f, known := faces[c.Name]
	if !known {
		f = face{play: missingLibrary}
	}
	if f.help != "" && wantsHelp(c.Args) {
		c.out(f.help)
		return 0
	}
	if f.version != "" && len(c.Args) > 0 && (c.Args[0] == "--version" || f.shortVersion && c.Args[0] == "-V") {
		c.out(f.version + "\n")
		return 0
	}
	if c.Quiet && f.quiet != nil {
		return f.quiet(c)
	}
	return f.play(c)
}

// Quiet says whether the applet can do the harmless real thing.
func Quiet(name string) bool { return faces[name].quiet != nil }

// Known says whether the applet has a face of its own. Others claim that a
// shared library is missing.
func Known(name string) bool { return faces[name].play != nil }

type face struct {
	help, version string
	shortVersion  bool // -V works as well
	play, quiet   func(Call) int
}

var faces map[string]face

func init() {
	faces = map[string]face{}
	for _, group := range []map[string]face{shells, files, network, tools} {
		for name, f := range group {
			faces[name] = f
		}
	}
}

func wantsHelp(args []string) bool {
	for _, a := range args {
		if a == "--" || !strings.HasPrefix(a, "-") {
			return false
		}
		if a == "--help" {
			return true
		}
	}
	return false
}

func (c Call) out(s string) { _, _ = io.WriteString(c.World.Out, s) }
func (c Call) err(s string) { _, _ = io.WriteString(c.World.Err, s) }

// fail prints a line on standard error and returns code.
func (c Call) fail(code int, line string) int {
	c.err(line + "\n")
	return code
}

// operands returns the arguments that are no options.
func (c Call) operands() []string {
	var list []string
	for i, a := range c.Args {
		if a == "--" {
			return append(list, c.Args[i+1:]...)
		}
		if a == "-" || !strings.HasPrefix(a, "-") {
			list = append(list, a)
		}
	}
	return list
}

// has says whether one of the letters was given as a short option.
func (c Call) has(letters string) bool {
	for _, a := range c.Args {
		if a == "--" {
			break
		}
		if len(a) > 1 && a[0] == '-' && a[1] != '-' && strings.ContainsAny(a[1:], letters) {
			return true
		}
	}
	return false
}

func missingLibrary(c Call) int {
	return c.fail(127, c.Name+": error while loading shared libraries: libc.so.6: cannot open shared object file: Permission denied")
}

func try(name string) string { return "Try '" + name + " --help' for more information." }

func quote(s string) string { return "'" + s + "'" }

// curly quotes as GNU programs do in a UTF-8 locale.
func curly(s string) string { return "‘" + s + "’" }

func number(n int) string { return strconv.Itoa(n) }
