package face

import "strings"

var tools = map[string]face{
	"python3": {play: python, help: pythonHelp, version: "Python 3.13.5", shortVersion: true},
	"perl":    {play: perl, help: perlHelp, version: perlVersion},
	"apt-get": {play: aptGet, help: aptHelp, version: "apt 3.0.3 (amd64)"},
	"apt":     {play: aptGet, help: aptHelp, version: "apt 3.0.3 (amd64)"},
	"apk":     {play: apk, help: apkHelp, version: "apk-tools 2.14.9, compiled for x86_64.", shortVersion: true},
	"kubectl": {play: kubectl, help: kubectlHelp},
	"aws":     {play: aws, help: awsHelp, version: "aws-cli/2.23.6 Python/3.13.5 Linux/6.12 source/x86_64.debian.13"},
	"docker":  {play: docker, help: dockerHelp, version: "Docker version 26.1.5+dfsg1, build a72d7cd"},
	"sudo":    {play: sudo, help: sudoUsage, version: "Sudo version 1.9.16p2", shortVersion: true},
	"su":      {play: su, help: suHelp, version: "su from util-linux 2.41", shortVersion: true},
}

func python(c Call) int {
	for i, a := range c.Args {
		if !strings.HasPrefix(a, "-") {
			file := absolute(c.World.Cwd, a)
			why := "[Errno 2] No such file or directory"
			if c.World.Exists(file) {
				why = "[Errno 13] Permission denied"
			}
			return c.fail(2, c.Name+": can't open file "+quote(file)+": "+why)
		}
		if (a == "-c" || a == "-m") && i+1 == len(c.Args) {
			return c.fail(2, "Argument expected for the "+a+" option\nusage: "+c.Name+
				" [option] ... [-c cmd | -m mod | file | -] [arg] ...\nTry `python -h' for more information.")
		}
		if a == "-c" || a == "-m" {
			break
		}
	}
	return c.fail(1, `Could not find platform independent libraries <prefix>
Could not find platform dependent libraries <exec_prefix>
Fatal Python error: init_fs_encoding: failed to get the Python codec of the filesystem encoding
Python runtime state: core initialized
ModuleNotFoundError: No module named 'encodings'

Current thread 0x00007f2ac1e4b740 (most recent call first):
  <no Python frame>`)
}

func perl(c Call) int {
	if c.has("v") {
		c.out("\n" + perlVersion + "\n")
		return 0
	}
	if rest := c.clientOperands("eEIMm"); len(rest) > 0 && !c.has("eE") {
		if c.World.Exists(absolute(c.World.Cwd, rest[0])) {
			return c.fail(13, `Can't open perl script "`+rest[0]+`": Permission denied`)
		}
		return c.fail(2, `Can't open perl script "`+rest[0]+`": No such file or directory`)
	}
	return c.fail(2, "Can't locate strict.pm in @INC (you may need to install the strict module) (@INC entries checked: /etc/perl "+
		"/usr/local/lib/x86_64-linux-gnu/perl/5.40.1 /usr/local/share/perl/5.40.1 /usr/lib/x86_64-linux-gnu/perl5/5.40 /usr/share/perl5 "+
		"/usr/lib/x86_64-linux-gnu/perl-base).\nBEGIN failed--compilation aborted.")
}

func aptGet(c Call) int {
	rest := c.operands()
	if len(rest) == 0 {
		c.out(aptHelp)
		return 0
	}
	switch rest[0] {
	case "update":
		c.out("Reading package lists... Done\n")
		return c.fail(100, "E: List directory /var/lib/apt/lists/partial is missing. - Acquire (13: Permission denied)")
	case "install", "remove", "purge", "upgrade", "dist-upgrade", "full-upgrade", "autoremove", "clean", "autoclean":
		return c.fail(100, "E: Could not open lock file /var/lib/dpkg/lock-frontend - open (13: Permission denied)\n"+
			"E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), are you root?")
	}
	return c.fail(100, "E: Invalid operation "+rest[0])
}

func apk(c Call) int {
	rest := c.operands()
	if len(rest) == 0 {
		c.out(apkHelp)
		return 1
	}
	switch rest[0] {
	case "add", "del", "fix", "update", "upgrade", "cache":
		return c.fail(99, "ERROR: Unable to lock database: Permission denied\nERROR: Failed to open apk database: Permission denied")
	case "info", "list", "search", "fetch", "policy", "stats", "index", "audit", "verify", "dot", "manifest":
		return c.fail(99, "ERROR: Unable to read database: Permission denied\nERROR: Failed to open apk database: Permission denied")
	}
	return c.fail(1, "apk: '"+rest[0]+"' is not an apk command. See 'apk --help'.")
}

func kubectl(c Call) int {
	rest := c.operands()
	switch {
	case len(rest) == 0:
		c.out(kubectlHelp)
		return 0
	case rest[0] == "version":
		c.out("Client Version: v1.33.2\nKustomize Version: v5.6.0\n")
	case rest[0] == "config":
		c.out("apiVersion: v1\nclusters: null\ncontexts: null\ncurrent-context: \"\"\nkind: Config\npreferences: {}\nusers: null\n")
		return 0
	}
	return c.fail(1, "The connection to the server localhost:8080 was refused - did you specify the right host or port?")
}

func aws(c Call) int {
	rest := c.clientOperands("")
	if len(rest) < 2 {
		return c.fail(252, awsUsage+"\naws: error: the following arguments are required: "+[]string{"command", "operation"}[len(rest)])
	}
	host := rest[0] + ".us-east-1.amazonaws.com"
	return c.fail(255, "\nCould not connect to the endpoint URL: \"https://"+host+"/\"")
}

func docker(c Call) int {
	if len(c.operands()) == 0 {
		c.out(dockerHelp)
		return 0
	}
	return c.fail(1, "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
}

func sudo(c Call) int {
	if len(c.Args) == 0 {
		c.err(sudoUsage)
		return 1
	}
	return c.fail(1, "sudo: The \"no new privileges\" flag is set, which prevents sudo from running as root.\n"+
		"sudo: If sudo is running in a container, you may need to adjust the container configuration to disable the flag.")
}

func su(c Call) int {
	if c.World.Terminal {
		c.err("Password: ")
		_, _ = c.World.In.Read(make([]byte, 256)) // what was typed is not kept
		c.err("\n")
	}
	return c.fail(1, "su: Authentication failure")
}
