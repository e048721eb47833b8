package elf

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Library is an entry of the loader's cache.
type Library struct {
	Name string // what programs ask for, such as libz.so.1
	Path string // absolute
	// Flags say which kind of program may use it, as glibc's ldconfig.h.
	Flags int32
}

// cacheFlags maps machines to the flags of their libraries: ELF with glibc's
// ABI, and the architecture (sysdeps/generic/ldconfig.h of glibc). ARM is hard
// float and RISC-V double float, which is what Debian has.
var cacheFlags = map[string]int32{
	"EM_X86_64": 0x0303, "EM_AARCH64": 0x0a03, "EM_ARM": 0x0903, "EM_RISCV": 0x1003, "EM_PPC64": 0x0503, "EM_S390": 0x0403,
}

// Libraries returns what ldconfig would find in the image's library
// directories, by name.
func (i *Image) Libraries() []Library {
	found := map[string]Library{}
	for _, dir := range i.systemDirs() {
		for _, file := range slices.Sorted(maps.Keys(i.Files)) {
			info := i.Files[file]
			name := path.Base(file)
			library := (strings.HasPrefix(name, "lib") || strings.HasPrefix(name, "ld-")) && strings.Contains(name, ".so")
			if "/"+path.Dir(file) != dir || !library || cacheFlags[info.Machine] == 0 {
				continue
			}
			soname := cmp.Or(info.Soname, name)
			at := path.Join(dir, soname)
			if target, ok := i.Resolve(at); !ok || target != file {
				at = "/" + file // the link that ldconfig would make is missing
				soname = name
			}
			if _, has := found[soname]; !has {
				found[soname] = Library{soname, at, cacheFlags[info.Machine]}
			}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Library) int { return compareCache(b.Name, a.Name) })
}

// compareCache is the order of glibc's _dl_cache_libcmp: runs of digits count
// as numbers.
func compareCache(a, b string) int {
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	for a != "" {
		switch {
		case b == "":
			return 1
		case digit(a[0]) && digit(b[0]):
			x, restA := number(a)
			y, restB := number(b)
			if c := cmp.Compare(x, y); c != 0 {
				return c
			}
			a, b = restA, restB
		case digit(a[0]):
			return 1
		case digit(b[0]):
			return -1
		case a[0] != b[0]:
			return cmp.Compare(a[0], b[0])
		default:
			a, b = a[1:], b[1:]
		}
	}
	if b == "" {
		return 0
	}
	return -1
}

// number cuts a number off the front; glibc's is an int too.
func number(s string) (n int32, rest string) {
	for s != "" && s[0] >= '0' && s[0] <= '9' {
		n, s = n*10+int32(s[0]-'0'), s[1:]
	}
	return n, s
}

// The layout of the cache: struct cache_file_new of glibc's dl-cache.h.
const (
	cacheMagic  = "glibc-ld.so.cache1.1"
	cacheHeader = 48 // bytes
	cacheEntry  = 24
	cacheLittle = 2
	cacheBig    = 3
)

// MaxCache is the largest cache that is read, in bytes.
const MaxCache = 16 << 20

// WriteCache writes /etc/ld.so.cache for a machine such as EM_X86_64. The
// libraries are in the order of Libraries.
func WriteCache(machine string, libraries []Library) []byte {
	order, flag := binary.ByteOrder(binary.LittleEndian), byte(cacheLittle)
	if machine == "EM_S390" {
		order, flag = binary.BigEndian, cacheBig
	}
	var text bytes.Buffer
	at := func(s string) uint32 {
		offset := uint32(cacheHeader + cacheEntry*len(libraries) + text.Len())
		text.WriteString(s + "\x00")
		return offset
	}
	out := make([]byte, cacheHeader+cacheEntry*len(libraries))
	copy(out, cacheMagic)
	for i, l := range libraries {
		e := out[cacheHeader+cacheEntry*i:]
		order.PutUint32(e, uint32(l.Flags))
		order.PutUint32(e[4:], at(l.Name))
		order.PutUint32(e[8:], at(l.Path))
	}
	order.PutUint32(out[20:], uint32(len(libraries)))
	order.PutUint32(out[24:], uint32(text.Len()))
	out[28] = flag
	return append(out, text.Bytes()...)
}

// ReadCache reads what WriteCache and ldconfig write. Entries for special
// hardware are left out.
func ReadCache(data []byte) ([]Library, error) {
	if len(data) > MaxCache {
		return nil, fmt.Errorf("read ld.so.cache: %d bytes, at most %d", len(data), MaxCache)
	}
	if i := bytes.Index(data, []byte(cacheMagic)); i < 0 || i%8 != 0 {
		return nil, errors.New("read ld.so.cache: it is in no format of glibc's that is still written")
	} else {
		data = data[i:]
	}
	if len(data) < cacheHeader {
		return nil, errors.New("read ld.so.cache: it ends too early")
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if data[28]&3 == cacheBig {
		order = binary.BigEndian
	}
	n := uint64(order.Uint32(data[20:]))
	if n > uint64(len(data)-cacheHeader)/cacheEntry {
		return nil, errors.New("read ld.so.cache: it ends too early")
	}
	text := func(offset uint32) (string, error) {
		if uint64(offset) >= uint64(len(data)) {
			return "", errors.New("read ld.so.cache: a name is outside of it")
		}
		s, _, ok := bytes.Cut(data[offset:], []byte{0})
		if !ok {
			return "", errors.New("read ld.so.cache: a name has no end")
		}
		return string(s), nil
	}
	list := make([]Library, 0, n)
	size := 0
	for i := range int(n) {
		e := data[cacheHeader+cacheEntry*i:]
		if order.Uint64(e[16:]) != 0 {
			continue
		}
		name, err := text(order.Uint32(e[4:]))
		if err != nil {
			return nil, err
		}
		file, err := text(order.Uint32(e[8:]))
		if err != nil {
			return nil, err
		}
		if size += len(name) + len(file); size > MaxCache { // entries may share their names
			return nil, errors.New("read ld.so.cache: the names are too long")
		}
		list = append(list, Library{name, file, int32(order.Uint32(e))})
	}
	return list, nil
}
