package testenv

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"
)

// Browser starts a browser with one tab, 1360 by 1000 pixels, which ends with the
// test. A step's time limit goes on a context made from the tab's.
func Browser(t testing.TB) (tab context.Context) {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(Chromium(t)), chromedp.WindowSize(1360, 1000),
		chromedp.NoSandbox) // the tests may run as root, for whom Chromium has no sandbox
	all, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	tab, end := chromedp.NewContext(all)
	t.Cleanup(end)
	if err := chromedp.Do(tab, chromedp.Navigate("about:blank")); err != nil { // the browser lives as long as this call's context
		t.Fatalf("start the browser: %v", err)
	}
	return tab
}
