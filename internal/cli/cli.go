// Package cli is the frame that every command stands in: streams, exit codes,
// progress and help. With the command packages below it, it is the only reader
// of flags, environment, working directory, clock and terminal.
//
// Rules for talking to a person: results go to stdout and everything else to
// stderr; progress is drawn on a terminal only; an error says what failed and,
// where one exists, what to do next; nothing waits for an answer unless it
// must.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Exit codes.
const (
	ExitDone    = 0
	ExitFailed  = 1
	ExitUsage   = 2
	ExitRefused = 3
)

// ExitCodes is the table that every help text ends with.
const ExitCodes = `Exit codes:
  0  done
  1  failed
  2  the command line is wrong
  3  a check said no
`

// Frame is what a command may know of the outside.
type Frame struct {
	Stdin       io.Reader
	Stdout      io.Writer
	Stderr      io.Writer
	Getenv      func(string) string
	Now         func() time.Time
	StderrIsTTY bool
	StdoutIsTTY bool
	// Password asks on the terminal without echo; nil where there is none.
	Password func(ctx context.Context, prompt string) ([]byte, error)
	Version  string
	// Heavy, unless nil, is called before work that takes much memory.
	Heavy func()
}

// System returns the frame of the running process.
func System(version string) *Frame {
	f := &Frame{
		Stdin: os.Stdin, Stdout: &checkedWriter{w: os.Stdout}, Stderr: os.Stderr, Getenv: os.Getenv, Now: time.Now,
		StderrIsTTY: term.IsTerminal(int(os.Stderr.Fd())), StdoutIsTTY: term.IsTerminal(int(os.Stdout.Fd())), Version: version,
	}
	if in := int(os.Stdin.Fd()); term.IsTerminal(in) {
		f.Password = func(ctx context.Context, prompt string) ([]byte, error) {
			fmt.Fprint(f.Stderr, prompt)
			defer fmt.Fprintln(f.Stderr)
			return readPassword(ctx, in)
		}
	}
	return f
}

// readPassword reads a line without echo. An interrupt gives the terminal back
// as it was.
func readPassword(ctx context.Context, fd int) ([]byte, error) {
	state, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	type answer struct {
		text []byte
		err  error
	}
	read := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		read <- answer{text, err}
	}()
	select {
	case a := <-read:
		return a.text, a.err
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), term.Restore(fd, state))
	}
}

// checkedWriter remembers that a write failed, so that a full disk behind
// stdout is not taken for success.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.err = errors.Join(c.err, err)
	return n, err
}

// usageError marks a wrong command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usagef returns an error about the command line.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// RefusedError marks the answer "no" of a check that itself worked.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return e.Err.Error() }

func (e *RefusedError) Unwrap() error { return e.Err }

// Run executes a command tree and returns the exit code.
func Run(ctx context.Context, f *Frame, root *cobra.Command, args []string) int {
	prepare(root)
	root.SetArgs(args)
	root.SetIn(f.Stdin)
	root.SetOut(f.Stdout)
	root.SetErr(f.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if out, ok := f.Stdout.(*checkedWriter); ok && err == nil && out.err != nil {
		err = fmt.Errorf("write to stdout: %w", out.err)
	}
	var usage usageError
	var refused *RefusedError
	switch {
	case err == nil:
		return ExitDone
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(f.Stderr, "hardstand: interrupted")
		return ExitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(f.Stderr, "hardstand: %s\nRun \"%s --help\" for usage.\n", Printable(err.Error()), cmd.CommandPath())
		return ExitUsage
	case errors.As(err, &refused):
		fmt.Fprintf(f.Stderr, "hardstand: refused: %s\n", Printable(err.Error()))
		return ExitRefused
	}
	fmt.Fprintf(f.Stderr, "hardstand: %s\n", Printable(err.Error()))
	return ExitFailed
}

// prepare makes a tree behave alike everywhere: errors are printed once, by
// Run; wrong flags and arguments are usage errors; help ends with exit codes.
func prepare(cmd *cobra.Command) {
	cmd.SilenceErrors, cmd.SilenceUsage, cmd.SuggestionsMinimumDistance = true, true, 2
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	} else if cmd.HasSubCommands() {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			hint := ""
			if near := c.SuggestionsFor(args[0]); len(near) > 0 {
				hint = fmt.Sprintf(" (did you mean %q?)", near[0])
			}
			return Usagef("unknown command %q for %q%s", args[0], c.CommandPath(), hint)
		}
		if cmd.Run == nil && cmd.RunE == nil {
			cmd.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	}
	if !cmd.HasParent() {
		cmd.SetUsageFunc(usage)
	}
	for _, c := range cmd.Commands() {
		prepare(c)
	}
}

// usage writes cobra's own text and the exit codes. It is no template: a
// program that executes one may call any method by its name, so the linker
// keeps every method of every type, which is megabytes.
func usage(c *cobra.Command) error {
	if err := (&cobra.Command{}).UsageFunc()(c); err != nil {
		return err
	}
	_, err := fmt.Fprint(c.OutOrStderr(), "\n"+ExitCodes)
	return err
}

// PrintJSON writes a value to stdout for a machine to read.
func (f *Frame) PrintJSON(v any) error {
	enc := json.NewEncoder(f.Stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// Note writes a line to stderr.
func (f *Frame) Note(format string, args ...any) {
	fmt.Fprint(f.Stderr, "hardstand: "+Printable(fmt.Sprintf(format, args...))+"\n")
}

// xdg returns a directory by the XDG base directory specification.
func (f *Frame) xdg(variable, fallback string) (string, error) {
	if dir := f.Getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, "hardstand"), nil
	}
	home := f.Getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", fmt.Errorf("neither %s nor HOME names a directory", variable)
	}
	return filepath.Join(home, fallback, "hardstand"), nil
}

// CacheDir is where downloads and layers are kept.
func (f *Frame) CacheDir() (string, error) { return f.xdg("XDG_CACHE_HOME", ".cache") }

// ConfigDir is where secrets of the user are kept.
func (f *Frame) ConfigDir() (string, error) { return f.xdg("XDG_CONFIG_HOME", ".config") }

// StateDir is where records that must not be lost are kept.
func (f *Frame) StateDir() (string, error) { return f.xdg("XDG_STATE_HOME", ".local/state") }

// maxPassword bounds a passphrase, in bytes.
const maxPassword = 4096

// Passphrase finds the passphrase of a key: HARDSTAND_PASSWORD, then
// COSIGN_PASSWORD, then a file if one is given, then the terminal, where
// confirm asks twice. A variable that is set but empty counts.
func (f *Frame) Passphrase(ctx context.Context, lookup func(string) (string, bool), file string, confirm bool) ([]byte, error) {
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read passphrase: %w", err)
		}
		if len(data) > maxPassword {
			return nil, fmt.Errorf("read passphrase: %s has more than %d bytes", file, maxPassword)
		}
		return []byte(strings.TrimRight(string(data), "\r\n")), nil
	}
	for _, name := range []string{"HARDSTAND_PASSWORD", "COSIGN_PASSWORD"} {
		if v, ok := lookup(name); ok {
			return []byte(v), nil
		}
	}
	if f.Password == nil {
		return nil, errors.New("no passphrase: set HARDSTAND_PASSWORD, or give --password-file")
	}
	first, err := f.Password(ctx, "Passphrase for the signing key: ")
	if err != nil || !confirm {
		return first, err
	}
	second, err := f.Password(ctx, "Once more: ")
	if err != nil {
		return nil, err
	}
	if string(first) != string(second) {
		return nil, errors.New("the passphrases differ")
	}
	return first, nil
}
