package mkimage

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestSameBytesOnArm64 runs the golden tests in an emulator of arm64, with the same hashes as on
// this machine.
func TestSameBytesOnArm64(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles for another machine")
	}
	if runtime.GOARCH == "arm64" {
		t.Skip("this is arm64: the golden tests themselves are it")
	}
	emulator := "qemu-aarch64"
	if _, err := exec.LookPath(emulator); err != nil {
		emulator = "qemu-aarch64-static"
	}
	needTool(t, emulator)
	binary := filepath.Join(t.TempDir(), "mkimage.test")
	compile := exec.Command("go", "test", "-c", "-o", binary, ".")
	compile.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("compile for arm64: %v\n%s", err, out)
	}
	out, err := exec.Command(emulator, binary, "-test.v", "-test.run", "Golden$").CombinedOutput()
	if err != nil {
		t.Fatalf("on arm64: %v\n%s", err, out)
	}
	for _, name := range []string{"TestCodecGolden", "TestRecipeGolden", "TestBuildGolden"} {
		if !strings.Contains(string(out), "--- PASS: "+name) {
			t.Errorf("%s did not run on arm64:\n%s", name, out)
		}
	}
}
