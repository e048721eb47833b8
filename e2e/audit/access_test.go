//go:build e2e

package audit_test

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// contrast finds the least ratio of a text's colour to what is behind it, by
// WCAG 2.2's definition of contrast ratio.
const contrast = `(() => {
  const rgb = (s) => s.match(/[\d.]+/g).map(Number);
  const luminance = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 }); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c } return [255, 255, 255] };
  let least = 21;
  for (const e of document.querySelectorAll("body *")) {
    if (e.offsetParent === null || !Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const [a, b] = [luminance(rgb(getComputedStyle(e).color)), luminance(behind(e))].sort((x, y) => y - x);
    least = Math.min(least, (a + 0.05) / (b + 0.05));
  }
  return least;
})()`

// TestContrast: every text can be read, by day and by night.
func TestContrast(t *testing.T) {
	ctx := browser(t)
	url := write(t, sampleReport(t, "svc/Dockerfile", sample))
	for _, scheme := range []string{"light", "dark"} {
		var least, back float64
		err := chromedp.Run(ctx, emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
			chromedp.Navigate(url), chromedp.WaitReady("#shown"), chromedp.Evaluate(contrast, &least),
			chromedp.Evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])", &back))
		if err != nil {
			t.Fatal(err)
		}
		if dark := back < 128; dark != (scheme == "dark") {
			t.Errorf("%s: the background is %v of 255", scheme, back)
		}
		if least < 4.5 {
			t.Errorf("%s: the least contrast is %.2f, want 4.5", scheme, least)
		}
	}
}

// TestKeyboard filters and opens findings without a mouse.
func TestKeyboard(t *testing.T) {
	ctx := browser(t)
	shown := func(into *int) chromedp.Action {
		return chromedp.Evaluate("Array.from(document.querySelectorAll('.finding')).filter(e => e.offsetParent !== null).length", into)
	}
	// tab goes on until what has the focus matches, and sees that the focus shows.
	tab := func(selector string) chromedp.Action {
		return chromedp.ActionFunc(func(ctx context.Context) error {
			for range 40 {
				if err := chromedp.KeyEvent(kb.Tab).Do(ctx); err != nil {
					return err
				}
				var there, visible bool
				if err := chromedp.Evaluate("document.activeElement.matches('"+selector+"')", &there).Do(ctx); err != nil || !there {
					if err != nil {
						return err
					}
					continue
				}
				if err := chromedp.Evaluate("document.activeElement.matches(':focus-visible') && getComputedStyle(document.activeElement).outlineStyle !== 'none'", &visible).Do(ctx); err != nil {
					return err
				}
				if !visible {
					t.Errorf("nothing shows that %s has the focus", selector)
				}
				return nil
			}
			t.Errorf("the tabulator does not reach %s", selector)
			return nil
		})
	}
	var before, after, found int
	var open bool
	err := chromedp.Run(ctx, chromedp.Navigate(write(t, sampleReport(t, "svc/Dockerfile", sample))), chromedp.WaitReady("#shown"), shown(&before),
		tab("input[value=fail]"), chromedp.KeyEvent(" "), shown(&after), chromedp.KeyEvent(" "),
		tab("#search"), chromedp.KeyEvent("curl"), shown(&found),
		tab(".finding summary"), chromedp.KeyEvent(kb.Enter), chromedp.Evaluate("document.activeElement.parentElement.open", &open))
	if err != nil {
		t.Fatal(err)
	}
	if after >= before || found == 0 || found >= before || !open {
		t.Errorf("shown %d, without failures %d, with curl %d; the finding opens: %v", before, after, found, open)
	}
}
