package web

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestShow(t *testing.T) {
	for in, want := range map[string]string{
		"plain":             "<bdi>plain</bdi>",
		"<b>&\"'":           "<bdi>&lt;b&gt;&amp;&#34;&#39;</bdi>",
		"a\u202eb":          `<bdi>a<span class="odd">U+202E</span>b</bdi>`,
		"\x00\n\x7f":        `<bdi><span class="odd">U+0000</span><span class="odd">U+000A</span><span class="odd">U+007F</span></bdi>`,
		"\xff":              `<bdi><span class="odd">\xff</span></bdi>`,
		"grüße 漢字":          "<bdi>grüße 漢字</bdi>",
		"e\u0301\U000e0041": `<bdi>e<span class="odd">U+0301</span><span class="odd">U+E0041</span></bdi>`,
		"\u3000":            `<bdi><span class="odd">U+3000</span></bdi>`,
	} {
		if have := string(show(in)); have != want {
			t.Errorf("%q: %s, want %s", in, have, want)
		}
	}
	if have := string(argv([]string{"sh", "-c", "a b", ""})); strings.Count(have, `class="quote"`) != 4 {
		t.Error(have)
	}
}

// TestContrast computes WCAG 2.2's contrast of every text colour on every
// ground it stands on, in both colour schemes: 4.5 for text (1.4.3), 3 for the
// outlines of controls (1.4.11).
func TestContrast(t *testing.T) {
	text, err := staticFiles.ReadFile("static/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, found := strings.Cut(string(text), "@media (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("no dark scheme")
	}
	dark = dark[:strings.Index(dark, "*, *::before")]
	for name, sheet := range map[string]string{"light": light, "dark": dark} {
		colours := map[string][3]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(sheet, -1) {
			n, _ := strconv.ParseUint(m[2], 16, 32)
			colours[m[1]] = [3]float64{float64(n >> 16), float64(n >> 8 & 255), float64(n & 255)}
		}
		check := func(fore, back string, least float64) {
			a, okA := colours[fore]
			b, okB := colours[back]
			if !okA || !okB {
				t.Fatalf("%s: no colour %s or %s", name, fore, back)
			}
			if have := contrast(a, b); have < least {
				t.Errorf("%s: %s on %s has %.2f, want %.1f", name, fore, back, have, least)
			}
		}
		for _, fore := range []string{"ink", "soft", "accent", "critical", "high", "medium", "low", "info", "good"} {
			check(fore, "card", 4.5)
			check(fore, "ground", 4.5)
		}
		for _, pair := range [][2]string{{"ink", "code"}, {"soft", "code"}, {"ink", "critical-soft"}, {"soft", "critical-soft"}, {"critical", "critical-soft"}, {"ink", "accent-soft"}, {"soft", "info-soft"}, {"accent-ink", "accent"}, {"card", "critical"}, {"card", "ink"}} {
			check(pair[0], pair[1], 4.5)
		}
		check("strong-line", "card", 3)
		check("strong-line", "ground", 3)
	}
}

func contrast(a, b [3]float64) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + .05) / (min(x, y) + .05)
}

func luminance(c [3]float64) float64 {
	for i := range c {
		if c[i] /= 255; c[i] <= .04045 {
			c[i] /= 12.92
		} else {
			c[i] = math.Pow((c[i]+.055)/1.055, 2.4)
		}
	}
	return .2126*c[0] + .7152*c[1] + .0722*c[2]
}
