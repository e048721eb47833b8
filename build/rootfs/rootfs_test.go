package rootfs_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/rootfs"
)

func file(path, body string) rootfs.Content {
	return rootfs.Content{Entry: rootfs.Entry{Path: path, Mode: 0o644, ModTime: 100}, Data: []byte(body)}
}

func dir(path string, mode uint32) rootfs.Content {
	return rootfs.Content{Entry: rootfs.Entry{Path: path, Type: rootfs.Dir, Mode: mode, ModTime: 50}}
}

func symlink(path, to string) rootfs.Content {
	return rootfs.Content{Entry: rootfs.Entry{Path: path, Type: rootfs.Symlink, Mode: 0o777, Link: to, ModTime: 60}}
}

func hardlink(path, to string) rootfs.Content {
	return rootfs.Content{Entry: rootfs.Entry{Path: path, Type: rootfs.Hardlink, Mode: 0o644, Link: to, ModTime: 60}}
}

func segment(t *testing.T, owner string, rules rootfs.Rules, list ...rootfs.Content) (*rootfs.Segment, []byte) {
	t.Helper()
	var b bytes.Buffer
	s, err := rootfs.WriteSegment(&b, owner, rootfs.Contents(list), rules)
	if err != nil {
		t.Fatal(err)
	}
	return s, b.Bytes()
}

// dump describes a tree one entry a line, in chisel's manner.
func dump(entries []rootfs.Entry) string {
	var b strings.Builder
	for _, e := range entries {
		b.WriteString("/" + e.Path + ": " + e.String() + "\n")
	}
	return b.String()
}

func TestSegmentsMakeALayer(t *testing.T) {
	a, aBytes := segment(t, "aa", rootfs.Rules{}, dir("usr", 0o755), dir("usr/bin", 0o755), file("usr/bin/a", "A"), hardlink("usr/bin/a2", "usr/bin/a"))
	b, bBytes := segment(t, "bb", rootfs.Rules{}, dir("tmp", 0o1777), symlink("etc/link", "../usr/bin/a"), file("lib/x/libb.so", "B"))
	tree := rootfs.NewTree()
	for _, s := range []*rootfs.Segment{a, b} {
		if err := tree.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	var layer bytes.Buffer
	if err := rootfs.WriteDirs(&layer, tree.Dirs([]*rootfs.Segment{a, b})); err != nil {
		t.Fatal(err)
	}
	layer.Write(aBytes)
	layer.Write(bBytes)
	if err := rootfs.WriteTrailer(&layer); err != nil {
		t.Fatal(err)
	}
	got, others, err := rootfs.ReadTar(&layer)
	if err != nil || others != 0 {
		t.Fatal(err, others)
	}
	want := `/etc: dir 0755
/tmp: dir 1777
/usr: dir 0755
/usr/bin: dir 0755
/usr/lib: dir 0755
/usr/lib/x: dir 0755
/usr/bin/a: file 0644 559aead0
/usr/bin/a2: link usr/bin/a
/etc/link: symlink ../usr/bin/a
/usr/lib/x/libb.so: file 0644 df7e70e5
`
	if diff := cmp.Diff(want, dump(got)); diff != "" {
		t.Error(diff)
	}
	for _, e := range got[:6] {
		if e.ModTime != 100 {
			t.Errorf("directory %s has time %d, want the layer's newest", e.Path, e.ModTime)
		}
	}
}

func TestRules(t *testing.T) {
	var taken []string
	s, _ := segment(t, "aa", rootfs.Rules{
		Drop: func(p string) bool { return strings.HasPrefix(p, "usr/share/doc/") },
		Take: func(e rootfs.Entry, body io.Reader) (bool, error) {
			if !strings.HasSuffix(e.Path, ".crt") {
				return false, nil
			}
			data, err := io.ReadAll(body)
			taken = append(taken, string(data))
			return true, err
		},
		Add: func() ([]rootfs.Content, error) {
			return []rootfs.Content{{Entry: rootfs.Entry{Path: "etc/bundle", Mode: 0o444}, Data: []byte(strings.Join(taken, "+"))}}, nil
		},
	}, file("usr/share/doc/x", "doc"), file("usr/share/a.crt", "A"), file("usr/share/b.crt", "B"), file("usr/share/keep", "k"))
	want := "/usr/share/keep: file 0644 8254c329\n/etc/bundle: file 0444 ca5b7e1c\n"
	if diff := cmp.Diff(want, dump(s.Entries)); diff != "" {
		t.Error(diff)
	}
	if s.Dropped != 1 || strings.Join(taken, "") != "AB" || s.Entries[1].ModTime != 100 {
		t.Errorf("dropped %d, taken %v, entries %+v", s.Dropped, taken, s.Entries)
	}
	_, err := rootfs.WriteSegment(io.Discard, "aa", rootfs.Contents([]rootfs.Content{file("a", "x"), hardlink("b", "a")}),
		rootfs.Rules{Drop: func(p string) bool { return p == "a" }})
	if err == nil || !strings.Contains(err.Error(), "left out") {
		t.Errorf("a link to a dropped file: %v", err)
	}
}

func TestConflicts(t *testing.T) {
	for name, tc := range map[string]struct {
		first, second []rootfs.Content
		want          string
	}{
		"same path":         {[]rootfs.Content{file("etc/a", "1")}, []rootfs.Content{file("etc/a", "1")}, "conflict at /etc/a: aa and bb both have it"},
		"across merged usr": {[]rootfs.Content{file("lib/a", "1")}, []rootfs.Content{file("usr/lib/a", "2")}, "conflict at /usr/lib/a"},
		"file over dir":     {[]rootfs.Content{dir("etc/a", 0o755)}, []rootfs.Content{file("etc/a", "1")}, "both have it"},
		"through a symlink": {[]rootfs.Content{symlink("var/run", "/run")}, []rootfs.Content{file("var/run/x", "1")}, "/var/run is no directory"},
		"link over parent":  {[]rootfs.Content{file("var/x/y", "1")}, []rootfs.Content{symlink("var/x", "/etc")}, "both have it"},
		"modes":             {[]rootfs.Content{dir("srv", 0o755)}, []rootfs.Content{dir("srv", 0o700)}, "different modes"},
		"none":              {[]rootfs.Content{dir("srv", 0o755), file("srv/a", "")}, []rootfs.Content{dir("srv", 0o755), file("srv/b", "")}, ""},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			tree := rootfs.NewTree()
			a, _ := segment(t, "aa", rootfs.Rules{}, tc.first...)
			b, _ := segment(t, "bb", rootfs.Rules{}, tc.second...)
			if err := tree.Add(a); err != nil {
				t.Fatal(err)
			}
			err := tree.Add(b)
			var conflict *rootfs.ConflictError
			if tc.want == "" && err == nil {
				return
			}
			if !errors.As(err, &conflict) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want a conflict that says %q", err, tc.want)
			}
		})
	}
}

func TestBaseFilesDecidesDirectoryModes(t *testing.T) {
	for _, order := range [][2]string{{rootfs.BaseOwner, "bb"}, {"bb", rootfs.BaseOwner}} {
		tree := rootfs.NewTree()
		for _, owner := range order {
			mode := uint32(0o755)
			if owner == rootfs.BaseOwner {
				mode = 0o700
			}
			s, _ := segment(t, owner, rootfs.Rules{}, dir("root", mode))
			if err := tree.Add(s); err != nil {
				t.Fatal(err)
			}
		}
		if e, _, _ := tree.Lookup("root"); e.Mode != 0o700 {
			t.Errorf("order %v: mode %04o", order, e.Mode)
		}
	}
}

func TestMissingAliases(t *testing.T) {
	tree := rootfs.NewTree()
	s, _ := segment(t, "aa", rootfs.Rules{}, file("bin/a", ""), file("lib64/ld.so", ""), symlink("sbin", "usr/sbin"))
	if err := tree.Add(s); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range tree.MissingAliases() {
		got = append(got, l.Path+": "+l.String())
	}
	want := []string{"bin: symlink usr/bin", "lib: symlink usr/lib", "usr/lib: dir 0755", "lib64: symlink usr/lib64", "usr/sbin: dir 0755"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestResolveFollowsLinks(t *testing.T) {
	tree := rootfs.NewTree()
	s, _ := segment(t, "aa", rootfs.Rules{}, symlink("bin", "usr/bin"), file("usr/bin/a", "x"), symlink("usr/bin/b", "a"), symlink("usr/bin/c", "/bin/../bin/b"),
		symlink("loop", "loop"), symlink("up", "../../bin/a"), symlink("dangling", "/nowhere"))
	if err := tree.Add(s); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]string{"/bin/a": "usr/bin/a", "bin/c": "usr/bin/a", "up": "usr/bin/a", "loop": "", "dangling": "", "usr/bin/a/x": "", "missing": ""} {
		e, ok := tree.Resolve(p)
		if ok != (want != "") || ok && e.Path != want {
			t.Errorf("Resolve(%q) = %q, %v; want %q", p, e.Path, ok, want)
		}
	}
}

func TestReadTarRefusesEscapes(t *testing.T) {
	var b bytes.Buffer
	if _, err := rootfs.WriteSegment(&b, "x", rootfs.Contents([]rootfs.Content{file("../x", "")}), rootfs.Rules{}); err == nil {
		t.Error("a path that leaves the root was written")
	}
}

func FuzzReadTar(f *testing.F) {
	var b bytes.Buffer
	if _, err := rootfs.WriteSegment(&b, "x", rootfs.Contents([]rootfs.Content{file("a/b", "c"), symlink("d", "e")}), rootfs.Rules{}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, _, err := rootfs.ReadTar(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Path, "/") || e.Path == ".." || strings.HasPrefix(e.Path, "../") {
				t.Fatalf("path %q got through", e.Path)
			}
		}
	})
}
