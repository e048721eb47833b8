package face

import (
	"io"
	"slices"
	"strings"
)

var files = map[string]face{
	"ls":     {play: lsDenied, quiet: lsReal, help: lsHelp, version: gnu("ls", "coreutils", "9.7")},
	"cat":    {play: catDenied, quiet: catReal, help: catHelp, version: gnu("cat", "coreutils", "9.7")},
	"id":     {play: id, quiet: id, help: idHelp, version: gnu("id", "coreutils", "9.7")},
	"whoami": {play: whoami, quiet: whoami, help: whoamiHelp, version: gnu("whoami", "coreutils", "9.7")},
	"uname":  {play: uname, quiet: uname, help: unameHelp, version: gnu("uname", "coreutils", "9.7")},
	"env":    {play: env, quiet: env, help: envHelp, version: gnu("env", "coreutils", "9.7")},
	"chmod":  {play: chmod, help: chmodHelp, version: gnu("chmod", "coreutils", "9.7")},
	"base64": {play: catDenied, help: base64Help, version: gnu("base64", "coreutils", "9.7")},
	"find":   {play: find, help: findHelp, version: gnu("find", "findutils", "4.10.0")},
	"tar":    {play: tar, help: tarHelp, version: gnu("tar", "tar", "1.35")},
	"ps":     {play: ps, help: psHelp, version: "ps from procps-ng 4.0.4", shortVersion: true},
}

func gnu(name, suite, version string) string {
	title := name + " (GNU " + suite + ") " + version
	if name == "tar" {
		title = "tar (GNU tar) " + version
	}
	return title + `
Copyright (C) 2025 Free Software Foundation, Inc.
License GPLv3+: GNU GPL version 3 or later <https://gnu.org/licenses/gpl.html>.
This is free software: you are free to change and redistribute it.
There is NO WARRANTY, to the extent permitted by law.`
}

func orHere(paths []string) []string {
	if len(paths) == 0 {
		return []string{"."}
	}
	return paths
}

func lsDenied(c Call) int {
	for _, dir := range orHere(c.operands()) {
		c.err("ls: cannot open directory " + quote(dir) + ": Permission denied\n")
	}
	return 2
}

func lsReal(c Call) int {
	code := 0
	dirs := orHere(c.operands())
	for i, dir := range dirs {
		names, err := c.World.List(absolute(c.World.Cwd, dir))
		if err != nil {
			code = c.fail(2, "ls: cannot access "+quote(dir)+": "+sentence(err))
			continue
		}
		if len(dirs) > 1 {
			c.out(strings.Repeat("\n", min(i, 1)) + dir + ":\n")
		}
		if c.has("a") {
			names = append(names, ".", "..")
		}
		slices.Sort(names)
		for _, name := range names {
			if c.has("aA") || !strings.HasPrefix(name, ".") {
				c.out(name + "\n")
			}
		}
	}
	return code
}

// sentence writes an error as strerror(3) does.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

func catDenied(c Call) int {
	paths := c.operands()
	if len(paths) == 0 {
		paths = []string{"-"}
	}
	code := 0
	for _, path := range paths {
		if path != "-" {
			code = c.fail(1, c.Name+": "+path+": Permission denied")
		} else if _, err := io.Copy(c.World.Out, c.World.In); err != nil {
			code = 1
		}
	}
	return code
}

func catReal(c Call) int {
	paths := c.operands()
	if len(paths) == 0 {
		return catDenied(c) // standard input only
	}
	code := 0
	for _, path := range paths {
		file, err := c.World.Open(absolute(c.World.Cwd, path))
		if err == nil {
			_, err = io.Copy(c.World.Out, file)
			_ = file.Close() // opened for reading
		}
		if err != nil {
			code = c.fail(1, "cat: "+path+": "+sentence(err))
		}
	}
	return code
}

func id(c Call) int {
	w := c.World
	switch {
	case len(c.operands()) > 0:
		return c.fail(1, "id: "+quote(c.operands()[0])+": no such user")
	case c.has("n"):
		return c.fail(1, "id: cannot find name for user ID "+number(w.UID))
	case c.has("u"):
		c.out(number(w.UID) + "\n")
		return 0
	case c.has("g"):
		c.out(number(w.GID) + "\n")
		return 0
	}
	groups := number(w.GID)
	for _, g := range w.Groups {
		if g != w.GID {
			groups += "," + number(g)
		}
	}
	if c.has("G") {
		c.out(strings.ReplaceAll(groups, ",", " ") + "\n")
		return 0
	}
	c.out("uid=" + number(w.UID) + " gid=" + number(w.GID) + " groups=" + groups + "\n")
	return 0
}

func whoami(c Call) int {
	if len(c.operands()) > 0 {
		return c.fail(1, "whoami: extra operand "+curly(c.operands()[0])+"\n"+try("whoami"))
	}
	if c.World.UID == 0 {
		c.out("root\n")
		return 0
	}
	return c.fail(1, "whoami: cannot find name for user ID "+number(c.World.UID))
}

func uname(c Call) int {
	w := c.World
	var words []string
	for _, part := range []struct{ letter, text string }{
		{"s", "Linux"}, {"n", w.Host}, {"r", w.Release}, {"v", "#1 SMP PREEMPT_DYNAMIC"}, {"m", w.Machine}, {"o", "GNU/Linux"},
	} {
		if c.has("a"+part.letter) || len(c.Args) == 0 && part.letter == "s" {
			words = append(words, part.text)
		}
	}
	c.out(strings.Join(words, " ") + "\n")
	return 0
}

// env prints only names that cannot hold a secret.
func env(c Call) int {
	for _, a := range c.operands() {
		if strings.Contains(a, "=") {
			continue
		}
		if c.World.Exists(absolute("/usr/bin", a)) {
			return c.fail(126, "env: "+curly(a)+": Permission denied")
		}
		return c.fail(127, "env: "+curly(a)+": No such file or directory")
	}
	for _, line := range c.World.Environ {
		switch name, _, _ := strings.Cut(line, "="); name {
		case "PATH", "HOME", "HOSTNAME", "TERM", "PWD", "SHLVL", "LANG":
			c.out(line + "\n")
		}
	}
	return 0
}

func chmod(c Call) int {
	paths := c.operands()
	switch len(paths) {
	case 0:
		return c.fail(1, "chmod: missing operand\n"+try("chmod"))
	case 1:
		return c.fail(1, "chmod: missing operand after "+curly(paths[0])+"\n"+try("chmod"))
	}
	for _, path := range paths[1:] {
		if c.World.Exists(absolute(c.World.Cwd, path)) {
			c.err("chmod: changing permissions of " + quote(path) + ": Operation not permitted\n")
		} else {
			c.err("chmod: cannot access " + quote(path) + ": No such file or directory\n")
		}
	}
	return 1
}

func find(c Call) int {
	start := "."
	if len(c.Args) > 0 && !strings.HasPrefix(c.Args[0], "-") {
		start = c.Args[0]
	}
	if !c.World.Exists(absolute(c.World.Cwd, start)) {
		return c.fail(1, "find: "+curly(start)+": No such file or directory")
	}
	if len(c.Args) <= 1 {
		c.out(start + "\n")
	}
	return c.fail(1, "find: "+curly(start)+": Permission denied")
}

func tar(c Call) int {
	const fatal = "\ntar: Error is not recoverable: exiting now"
	if len(c.Args) == 0 {
		return c.fail(2, "tar: You must specify one of the '-Acdtrux', '--delete' or '--test-label' options\n"+
			"Try 'tar --help' or 'tar --usage' for more information.")
	}
	archive := "-"
	for i, a := range c.Args {
		bundled := i == 0 || strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--")
		if bundled && strings.Contains(a, "f") && i+1 < len(c.Args) {
			archive = c.Args[i+1]
			break
		}
	}
	if archive == "-" {
		return c.fail(2, "tar: .: Cannot open: Permission denied\ntar: Exiting with failure status due to previous errors")
	}
	return c.fail(2, "tar: "+archive+": Cannot open: Permission denied"+fatal)
}

func ps(c Call) int {
	return c.fail(1, "Error, do this: mount -t proc proc /proc")
}
