package face

import (
	"bufio"
	"path"
	"strings"
)

const maxCommand = 4096 // bytes of one line typed into a shell

var shells = map[string]face{
	"sh":   {play: dash},
	"dash": {play: dash},
	"ash":  {play: ash},
	"bash": {play: bash, version: bashVersion, help: bashHelp},
	"busybox": {play: func(c Call) int {
		if len(c.Args) == 0 {
			c.out(busyboxHelp)
			return 0
		}
		return c.fail(127, c.Args[0]+": applet not found")
	}, help: busyboxHelp},
}

const (
	bashVersion = `GNU bash, version 5.2.37(1)-release (x86_64-pc-linux-gnu)
Copyright (C) 2022 Free Software Foundation, Inc.
License GPLv3+: GNU GPL version 3 or later <http://gnu.org/licenses/gpl.html>

This is free software; you are free to change and redistribute it.
There is NO WARRANTY, to the extent permitted by law.`
	bashHelp = `GNU bash, version 5.2.37(1)-release-(x86_64-pc-linux-gnu)
Usage:	bash [GNU long option] [option] ...
	bash [GNU long option] [option] script-file ...
GNU long options:
	--debug
	--debugger
	--dump-po-strings
	--dump-strings
	--help
	--init-file
	--login
	--noediting
	--noprofile
	--norc
	--posix
	--pretty-print
	--rcfile
	--restricted
	--verbose
	--version
Shell options:
	-ilrsD or -c command or -O shopt_option		(invocation only)
	-abefhkmnptuvxBCEHPT or -o option
Type ` + "`bash -c \"help set\"'" + ` for more information about shell options.
Type ` + "`bash -c help'" + ` for more information about shell builtin commands.
Use the ` + "`bashbug'" + ` command to report bugs.

bash home page: <http://www.gnu.org/software/bash>
General help using GNU software: <http://www.gnu.org/gethelp/>
`
	busyboxHelp = `BusyBox v1.37.0 (Debian 1:1.37.0-6+b3) multi-call binary.
BusyBox is copyrighted by many authors between 1998-2015.
Licensed under GPLv2. See source distribution for detailed
copyright notices.

Usage: busybox [function [arguments]...]
   or: busybox --list[-full]
   or: busybox --show SCRIPT
   or: busybox --install [-s] [DIR]
   or: function [arguments]...
`
)

// shell is a shell in which no command can be run.
type shell struct {
	Call
	prompt    string
	cannotRun func(line int, command, why string) string
	noFile    func(file, why string) string
	line      int
	code      int
}

func dash(c Call) int {
	return shell{Call: c, prompt: dashPrompt(c),
		cannotRun: func(line int, command, why string) string {
			return c.Name + ": " + number(line) + ": " + command + ": " + why
		},
		noFile: func(file, why string) string { return c.Name + ": 0: cannot open " + file + ": " + why },
	}.run()
}

func ash(c Call) int {
	return shell{Call: c, prompt: strings.TrimSpace(c.World.Cwd+" "+dashPrompt(c)) + " ",
		cannotRun: func(_ int, command, why string) string { return c.Name + ": " + command + ": " + why },
		noFile:    func(file, why string) string { return c.Name + ": can't open '" + file + "': " + why },
	}.run()
}

func bash(c Call) int {
	return shell{Call: c, prompt: "bash-5.2" + dashPrompt(c),
		cannotRun: func(line int, command, why string) string {
			if why == "not found" {
				why = "command not found"
			}
			if c.World.Terminal {
				return "bash: " + command + ": " + why
			}
			return "bash: line " + number(line) + ": " + command + ": " + why
		},
		noFile: func(file, why string) string { return "bash: " + file + ": " + why },
	}.run()
}

func dashPrompt(c Call) string {
	if c.World.UID == 0 {
		return "# "
	}
	return "$ "
}

func (s shell) run() int {
	for i, a := range s.Args {
		switch {
		case a == "-c" || len(a) > 1 && a[0] == '-' && a[1] != '-' && strings.HasSuffix(a, "c"):
			if i+1 == len(s.Args) {
				return s.fail(2, s.Name+": 0: -c requires an argument")
			}
			return s.script(s.Args[i+1])
		case a == "-" || strings.HasPrefix(a, "-"):
		case s.World.Exists(absolute(s.World.Cwd, a)):
			return s.fail(126, s.noFile(a, "Permission denied"))
		default:
			return s.fail(127, s.noFile(a, "No such file"))
		}
	}
	return s.interact()
}

func (s shell) script(text string) int {
	for line := range strings.Lines(text) {
		if s.execute(line) {
			break
		}
	}
	return s.code
}

func (s shell) interact() int {
	in := bufio.NewScanner(s.World.In)
	in.Buffer(nil, maxCommand)
	for s.ask(); in.Scan(); s.ask() {
		if s.execute(in.Text()) {
			return s.code
		}
	}
	if s.World.Terminal {
		s.err("\n")
	}
	return s.code
}

func (s shell) ask() {
	if s.World.Terminal {
		s.err(s.prompt)
	}
}

// execute plays one line and says whether the shell ends.
func (s *shell) execute(line string) (exit bool) {
	s.line++
	operator := ""
	for line != "" {
		command, next, rest := cutCommand(line)
		skip := operator == "&&" && s.code != 0 || operator == "||" && s.code == 0
		if !skip && s.command(command) {
			return true
		}
		operator, line = next, rest
	}
	return false
}

// cutCommand ends a command at ; & | && || or a line feed. Quotes are not
// understood: whoever needs them here gains nothing.
func cutCommand(line string) (command, operator, rest string) {
	at := strings.IndexAny(line, ";|&\n")
	if at < 0 {
		return line, "", ""
	}
	end := at + 1
	if end < len(line) && line[end] == line[at] && line[at] != '\n' {
		end++
	}
	return line[:at], line[at:end], line[end:]
}

func (s *shell) command(text string) (exit bool) {
	words := strings.Fields(text)
	for len(words) > 0 && strings.Contains(words[0], "=") {
		words = words[1:]
	}
	if len(words) == 0 {
		return false
	}
	if words[0] == "exit" {
		return true
	}
	s.code = 0
	switch words[0] {
	case ":", "true", "set", "export", "unset", "umask", "trap", "alias":
	case "false":
		s.code = 1
	case "cd":
		s.changeFolder(words[1:])
	case "pwd":
		s.out(s.World.Cwd + "\n")
	case "echo":
		s.out(strings.ReplaceAll(strings.ReplaceAll(strings.Join(words[1:], " "), `"`, ""), `'`, "") + "\n")
	default:
		s.refuse(words[0])
	}
	return false
}

func (s *shell) changeFolder(words []string) {
	to := "/"
	if len(words) > 0 {
		to = path.Clean(absolute(s.World.Cwd, words[0]))
	}
	if to != "/" && !s.World.Exists(to) {
		s.code = 2
		s.err(s.cannotRun(s.line, "cd", "can't cd to "+words[0]) + "\n")
		return
	}
	s.World.Cwd = to
}

func (s *shell) refuse(command string) {
	s.code = 127
	why := "not found"
	if s.found(command) {
		s.code, why = 126, "Permission denied"
	}
	s.err(s.cannotRun(s.line, command, why) + "\n")
}

func (s *shell) found(command string) bool {
	if strings.Contains(command, "/") {
		return s.World.Exists(absolute(s.World.Cwd, command))
	}
	for _, dir := range []string{"/usr/local/bin/", "/usr/bin/", "/bin/", "/usr/sbin/"} {
		if s.World.Exists(dir + command) {
			return true
		}
	}
	return false
}

func absolute(cwd, file string) string {
	if strings.HasPrefix(file, "/") {
		return file
	}
	return strings.TrimSuffix(cwd, "/") + "/" + file
}
