package deb_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/deb"
	"github.com/hardstand/hardstand/build/debtest"
)

// dump reads a whole package and describes it, one entry a line.
func dump(data []byte, limits deb.Limits) (string, error) {
	r, err := deb.NewReader(bytes.NewReader(data), limits)
	if err != nil {
		return "", err
	}
	defer r.Close()
	var b strings.Builder
	c := r.Control()
	fmt.Fprintf(&b, "%s %s scripts=%v md5sums=%d\n", c.Stanza.Get("Package"), c.Stanza.Get("Version"), c.Scripts, bytes.Count(c.MD5Sums, []byte("\n")))
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return b.String(), err
		}
		body, err := io.ReadAll(r)
		if err != nil {
			return b.String(), err
		}
		fmt.Fprintf(&b, "%s %d %v %q%s\n", e.Path, e.Type, e.Mode, body, strings.TrimRight(" "+e.Link, " "))
	}
}

func TestReadsEveryCompression(t *testing.T) {
	for _, kind := range []string{"none", "gz", "xz", "zst"} {
		t.Run(kind, func(t *testing.T) {
			pkg := debtest.Package{
				Name: "hello", Version: "2:1.0-1", Compression: kind,
				Files:   map[string]string{"usr/bin/hello": "binary", "etc/hello.conf": "x"},
				Scripts: map[string]string{"preinst": "", "postinst": "#!/bin/sh"},
				Headers: []tar.Header{
					{Name: "./usr/bin/hi", Typeflag: tar.TypeSymlink, Linkname: "hello"},
					{Name: "./usr/bin/hey", Typeflag: tar.TypeLink, Linkname: "./usr/bin/hello", Mode: 0o755},
					{Name: "./tmp/", Typeflag: tar.TypeDir, Mode: 0o1777},
				},
			}
			got, err := dump(pkg.Build(t), deb.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			want := `hello 2:1.0-1 scripts=[postinst preinst] md5sums=2
etc 1 -rwxr-xr-x ""
etc/hello.conf 0 -rw-r--r-- "x"
usr 1 -rwxr-xr-x ""
usr/bin 1 -rwxr-xr-x ""
usr/bin/hello 0 -rw-r--r-- "binary"
usr/bin/hi 2 ---------- "" hello
usr/bin/hey 3 -rwxr-xr-x "" usr/bin/hello
tmp 1 trwxrwxrwx ""
`
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefusesHostileEntries(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644} }
	for name, tc := range map[string]struct {
		headers []tar.Header
		want    string
	}{
		"absolute":             {[]tar.Header{file("/etc/passwd")}, "absolute path"},
		"parent":               {[]tar.Header{file("./usr/../../etc/passwd")}, `".." in path`},
		"parent at the end":    {[]tar.Header{{Name: "./usr/..", Typeflag: tar.TypeDir}}, `".." in path`},
		"twice":                {[]tar.Header{file("./etc/a"), file("etc//a")}, "path appears twice"},
		"whiteout":             {[]tar.Header{file("./usr/bin/.wh.sh")}, "deletes files of lower layers"},
		"newline":              {[]tar.Header{file("./etc/a\nb")}, "control character"},
		"through a symlink":    {[]tar.Header{{Name: "./x", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, file("./x/passwd")}, "not a directory"},
		"through a file":       {[]tar.Header{file("./x"), file("./x/y")}, "not a directory"},
		"character device":     {[]tar.Header{{Name: "./dev/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}}, "not a file, directory or link"},
		"block device":         {[]tar.Header{{Name: "./dev/sda", Typeflag: tar.TypeBlock}}, "not a file, directory or link"},
		"fifo":                 {[]tar.Header{{Name: "./run/f", Typeflag: tar.TypeFifo}}, "not a file, directory or link"},
		"hard link outside":    {[]tar.Header{{Name: "./l", Typeflag: tar.TypeLink, Linkname: "../../etc/shadow"}}, "hard link target"},
		"hard link to nothing": {[]tar.Header{{Name: "./l", Typeflag: tar.TypeLink, Linkname: "./etc/shadow"}}, "not a file before it"},
		"hard link to a symlink": {[]tar.Header{
			{Name: "./s", Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"},
			{Name: "./l", Typeflag: tar.TypeLink, Linkname: "./s"},
		}, "not a file before it"},
		"empty symlink":  {[]tar.Header{{Name: "./s", Typeflag: tar.TypeSymlink}}, "bad symlink target"},
		"root is a link": {[]tar.Header{{Name: "./", Typeflag: tar.TypeSymlink, Linkname: "/"}}, "not a directory"},
		"capability": {[]tar.Header{{Name: "./ping", Typeflag: tar.TypeReg, Format: tar.FormatPAX,
			PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "\x01"}}}, "extended attribute security.capability"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dump(debtest.Package{Name: "bad", Headers: tc.headers}.Build(t), deb.Limits{})
			var hostile *deb.HostileError
			if !errors.As(err, &hostile) {
				t.Fatalf("error = %v, want a HostileError", err)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want it to say %q", err, tc.want)
			}
		})
	}
}

func TestEnforcesLimits(t *testing.T) {
	pkg := debtest.Package{Name: "big", Files: map[string]string{"a": strings.Repeat("a", 100_000), "b": strings.Repeat("b", 100_000)}}.Build(t)
	for name, limits := range map[string]deb.Limits{
		"control": {Control: 512},
		"data":    {Data: 150_000},
		"entry":   {Entry: 99_999},
		"entries": {Entries: 1},
	} {
		if _, err := dump(pkg, limits); !errors.Is(err, deb.ErrTooLarge) {
			t.Errorf("%s limit: error = %v, want ErrTooLarge", name, err)
		}
	}
	if _, err := dump(pkg, deb.Limits{}); err != nil {
		t.Errorf("default limits: %v", err)
	}
}

// Every truncation and every flipped byte either fails or, where the byte
// carries no meaning (padding, timestamps), reads to the same result. It never
// panics and never yields different contents silently when the stream has
// checksums.
func TestTruncationIsNoticed(t *testing.T) {
	for _, kind := range []string{"gz", "xz", "zst"} {
		whole := debtest.Package{Name: "hello", Compression: kind, Files: map[string]string{"usr/bin/hello": strings.Repeat("binary", 1000)}}.Build(t)
		end := len(whole)
		if whole[end-1] == '\n' {
			end-- // the padding byte may be missing
		}
		for n := range end {
			if _, err := dump(whole[:n], deb.Limits{}); err == nil {
				t.Errorf("%s: a package cut to %d of %d bytes reads without an error", kind, n, len(whole))
			}
		}
	}
}

func TestRefusesWhatIsNoPackage(t *testing.T) {
	member := func(members ...string) []byte {
		var b bytes.Buffer
		b.WriteString("!<arch>\n")
		for i := 0; i < len(members); i += 2 {
			debtest.Member(&b, members[i], []byte(members[i+1]))
		}
		return b.Bytes()
	}
	control := func(text string) string {
		return string(debtest.Tar(t, map[string]string{"./control": text}, nil, nil))
	}
	good := control("Package: ok\nVersion: 1\nArchitecture: all\n")
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"empty":            {nil, "unexpected EOF"},
		"html":             {[]byte("<html>captive portal</html>"), "no ar magic"},
		"wrong first":      {member("control.tar", good), "first member"},
		"format 3":         {member("debian-binary", "3.0\n"), "unsupported package format"},
		"no control":       {member("debian-binary", "2.0\n"), "find control.tar"},
		"no data":          {member("debian-binary", "2.0\n", "control.tar", good), "find data.tar"},
		"lzma":             {member("debian-binary", "2.0\n", "control.tar.lzma", good), "unsupported compression"},
		"odd member":       {member("debian-binary", "2.0\n", "evil.tar", good), "unexpected member"},
		"empty control":    {member("debian-binary", "2.0\n", "control.tar", control("")), "no paragraph"},
		"bad name":         {member("debian-binary", "2.0\n", "control.tar", control("Package: ../x\nVersion: 1\nArchitecture: all\n")), "bad package name"},
		"bad version":      {member("debian-binary", "2.0\n", "control.tar", control("Package: ok\nVersion: 1 2\nArchitecture: all\n")), "bad version"},
		"two paragraphs":   {member("debian-binary", "2.0\n", "control.tar", control("Package: ok\nVersion: 1\nArchitecture: all\n\nPackage: evil\nVersion: 1\nArchitecture: all\n")), "more than one paragraph"},
		"no control file":  {member("debian-binary", "2.0\n", "control.tar", string(debtest.Tar(t, map[string]string{"./x": ""}, nil, nil))), "no control file"},
		"negative ar size": {[]byte("!<arch>\ndebian-binary   0           0     0     100644  -4        `\n2.0\n"), "bad size"},
	} {
		if _, err := dump(tc.data, deb.Limits{}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error = %v, want it to say %q", name, err, tc.want)
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, kind := range []string{"none", "gz", "zst"} {
		f.Add(debtest.Package{Name: "seed", Compression: kind, Files: map[string]string{"a/b": "c"}}.Build(f))
	}
	f.Add([]byte("!<arch>\n"))
	limits := deb.Limits{Control: 1 << 20, Data: 1 << 20, Entry: 1 << 20, Entries: 1000}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := deb.NewReader(bytes.NewReader(data), limits)
		if err != nil {
			return
		}
		defer r.Close()
		for {
			e, err := r.Next()
			if err != nil {
				return
			}
			if strings.HasPrefix(e.Path, "/") || strings.Contains("/"+e.Path+"/", "/../") || e.Path == "" {
				t.Fatalf("hostile path %q got through", e.Path)
			}
		}
	})
}
