package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
)

// A command that another executable holds is handed over: hardstand audit
// becomes hardstand-audit audit, in the same process where the system can do
// that. The libraries of the other executable then cost this one nothing.

// The executables beside this one, each with libraries that would slow the
// others down.
const (
	SignExecutable      = "hardstand-sign"
	AuditExecutable     = "hardstand-audit"
	CollectorExecutable = "hardstand-collector"
	ComposeExecutable   = "hardstand-compose"
	ReachExecutable     = "hardstand-reach"
)

// Holder returns the executable that holds the command which a command line
// begins with, or "" where the words alone do not tell. It lets hardstand hand
// over before it builds a command tree, and without a detour.
func Holder(args []string) string {
	word := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch word(0) {
	case "audit", "scan", "runtime":
		return AuditExecutable
	case "canary":
		switch word(1) {
		case "collector", "test", "admin-token":
			return CollectorExecutable
		}
	}
	return ""
}

// executableOf marks commands that are handed over.
const executableOf = "hardstand.executable"

// HandedOver reports which executable holds a command, or "".
func HandedOver(cmd *cobra.Command) string { return cmd.Annotations[executableOf] }

// HandOver returns a command that another executable runs. path is the command
// line there, for example "audit"; help and completion go there too.
func HandOver(f *Frame, executable, short, example string, path ...string) *cobra.Command {
	cmd := &cobra.Command{
		Use: path[len(path)-1], Short: short, Example: example,
		Annotations:        map[string]string{executableOf: executable},
		DisableFlagParsing: true,
	}
	with := func(before []string, after ...string) []string {
		return append(append(before, path...), after...)
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error { return become(f, executable, with(nil, args...)) }
	cmd.SetHelpFunc(func(*cobra.Command, []string) {
		if err := become(f, executable, with(nil, "--help")); err != nil {
			f.Note("%v", err)
		}
	})
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, complete string) ([]string, cobra.ShellCompDirective) {
		if err := become(f, executable, append(with([]string{cobra.ShellCompRequestCmd}, args...), complete)); err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// Become turns the process into another executable with the same arguments. It
// returns the exit code of its failure to do so.
func Become(f *Frame, executable string, args []string) int {
	if err := become(f, executable, args); err != nil {
		f.Note("%v", err)
		return ExitFailed
	}
	return ExitDone
}

// ProgramDir is the directory of this executable, where its companions are.
func ProgramDir() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", err
	}
	return filepath.Dir(self), nil
}

// sibling finds an executable beside this one. It is looked for nowhere else:
// a program of that name in PATH may be anybody's.
func sibling(name string) (string, error) {
	dir, err := ProgramDir()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	suffix := ""
	if runtime.GOOS == "windows" {
		suffix = ".exe"
	}
	path := filepath.Join(dir, name+suffix)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find %s: it is not in %s; the command is part of it, and hardstand and its companions are installed together (make build)", name, dir)
	}
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("find %s: %s is no program", name, path)
	}
	return path, nil
}

func become(f *Frame, name string, args []string) error {
	path, err := sibling(name)
	if err != nil {
		return err
	}
	if err := execute(f, path, args); err != nil {
		return fmt.Errorf("run %s: %w", strings.TrimSuffix(name, ".exe"), err)
	}
	return nil
}
