//! Logs as builds leave them that failed for each of the usual reasons, and what is shown of them.

use super::*;

/// A log of a build that went well for a long time and then said `end`.
fn log(end: &str) -> String {
    let before = "$ make defconfig\nfirst.c:1:1: error: of another command\n$ make bzImage\nmake[1]: Entering directory '/o'\n";
    format!("{before}{}{end}", "  CC      kernel/fork.o\n".repeat(500))
}

#[test]
fn a_compile_error_among_the_lines_of_another_job() {
    let said = "\
In file included from ../include/linux/kernel.h:1,
                 from ../init/main.c:12:
  CC      mm/slab.o
../init/main.c: In function 'start_kernel':
  CC      mm/swap.o
../init/main.c:900:9: error: 'boot_cpu' undeclared (first use in this function); did you mean 'boot_cpus'?
  900 |         boot_cpu = 1;
  AR      mm/built-in.a
      |         ^~~~~~~~
      |         boot_cpus
../init/main.c:900:9: note: each undeclared identifier is reported only once for each function it appears in
make[3]: *** [../scripts/Makefile.build:229: init/main.o] Error 1
make[2]: *** [../scripts/Makefile.build:478: init] Error 2
make[2]: *** Waiting for unfinished jobs....
  CC      mm/vmscan.o
../mm/vmscan.c:5:1: warning: unused variable 'x' [-Wunused-variable]
    5 | int x;
      |     ^
make[1]: *** [/s/Makefile:1945: .] Error 2
make[1]: Leaving directory '/o'
make: *** [Makefile:224: __sub-make] Error 2
";
    assert_eq!(
        excerpt(&log(said)),
        "\
In file included from ../include/linux/kernel.h:1,
                 from ../init/main.c:12:
../init/main.c: In function 'start_kernel':
../init/main.c:900:9: error: 'boot_cpu' undeclared (first use in this function); did you mean 'boot_cpus'?
  900 |         boot_cpu = 1;
      |         ^~~~~~~~
      |         boot_cpus
../init/main.c:900:9: note: each undeclared identifier is reported only once for each function it appears in
make[3]: *** [../scripts/Makefile.build:229: init/main.o] Error 1
…
make[2]: *** [../scripts/Makefile.build:478: init] Error 2
make[2]: *** Waiting for unfinished jobs....
../mm/vmscan.c:5:1: warning: unused variable 'x' [-Wunused-variable]
    5 | int x;
      |     ^
make[1]: *** [/s/Makefile:1945: .] Error 2
make: *** [Makefile:224: __sub-make] Error 2"
    );
}

/// A reason to fail, what make's log has of it, and what the excerpt begins with.
const REASONS: [(&str, &str, &str); 11] = [
    (
        "an undefined reference",
        "  LD      .tmp_vmlinux1\nld: init/main.o: in function `start_kernel':\nmain.c:(.init.text+0x1f): undefined reference to `boot_all'\nmake[2]: *** [../scripts/Makefile.vmlinux:34: vmlinux] Error 1\n",
        "ld: init/main.o: in function `start_kernel':\nmain.c:(.init.text+0x1f): undefined reference to `boot_all'\nmake[2]: ",
    ),
    (
        "a missing header",
        "  HOSTCC  scripts/sign-file\n../scripts/sign-file.c:25:10: fatal error: openssl/opensslv.h: No such file or directory\n   25 | #include <openssl/opensslv.h>\n      |          ^~~~~~~~~~~~~~~~~~~~\ncompilation terminated.\nmake[3]: *** [../scripts/Makefile.host:116: scripts/sign-file] Error 1\n",
        "../scripts/sign-file.c:25:10: fatal error: openssl/opensslv.h: No such file or directory\n   25 | #include <openssl/opensslv.h>\n      |          ^~~~~~~~~~~~~~~~~~~~\ncompilation terminated.\nmake[3]: ",
    ),
    (
        "a missing tool",
        "  LEX     scripts/kconfig/lexer.lex.c\n/bin/sh: 1: flex: not found\nmake[3]: *** [../scripts/Makefile.host:9: scripts/kconfig/lexer.lex.c] Error 127\n",
        "/bin/sh: 1: flex: not found\nmake[3]: ",
    ),
    (
        "a missing tool, as bash says it, after noise that was none",
        "/bin/sh: 1: pahole: not found\nsomething else\n/bin/bash: line 1: bison: command not found\nmake[3]: *** [../scripts/Makefile.host:17: scripts/kconfig/parser.tab.h] Error 127\n",
        "/bin/bash: line 1: bison: command not found\nmake[3]: ",
    ),
    (
        "a full disk, as the assembler finds it",
        "../fs/inode.c: Assembler messages:\n../fs/inode.c: Fatal error: can't write 112 bytes to section .text of fs/inode.o: 'No space left on device'\nmake[3]: *** [../scripts/Makefile.build:229: fs/inode.o] Error 1\n",
        "../fs/inode.c: Assembler messages:\n../fs/inode.c: Fatal error: can't write 112 bytes",
    ),
    (
        "a full disk, as ar finds it",
        "  AR      fs/built-in.a\nar: fs/built-in.a: No space left on device\nmake[3]: *** [../scripts/Makefile.build:475: fs/built-in.a] Error 1\n",
        "ar: fs/built-in.a: No space left on device\nmake[3]: ",
    ),
    (
        "no memory",
        "gcc: fatal error: Killed signal terminated program cc1\ncompilation terminated.\nmake[4]: *** [../scripts/Makefile.build:229: drivers/x.o] Error 1\n",
        "gcc: fatal error: Killed signal terminated program cc1\ncompilation terminated.\nmake[4]: ",
    ),
    (
        "no memory, as the shell tells it",
        "Killed\nmake[2]: *** [../scripts/Makefile.vmlinux:34: vmlinux] Error 137\n",
        "Killed\nmake[2]: ",
    ),
    (
        "a library that is not there",
        "/usr/bin/ld: cannot find -lelf: No such file or directory\ncollect2: error: ld returned 1 exit status\nmake[4]: *** [Makefile:120: objtool] Error 1\n",
        "/usr/bin/ld: cannot find -lelf: No such file or directory\ncollect2: error: ld returned 1 exit status\nmake[4]: ",
    ),
    (
        "a reason that nobody thought of",
        "one\ntwo\nmake[2]: *** [Makefile:3: x] Error 9\n",
        "one\ntwo\nmake[2]: *** [Makefile:3: x] Error 9\n",
    ),
    (
        "make's own",
        "make: *** No rule to make target 'x', needed by 'y'.  Stop.\n",
        "make: *** No rule",
    ),
];

#[test]
fn each_usual_reason_comes_first_and_the_end_last() {
    for (name, said, first) in REASONS {
        let ends = "make[1]: *** [/s/Makefile:1945: .] Error 2\nmake: *** [Makefile:224: __sub-make] Error 2\n";
        let excerpt = excerpt(&log(&format!("{said}{ends}")));
        assert!(excerpt.starts_with(first), "{name}:\n{excerpt}");
        assert!(excerpt.ends_with("__sub-make] Error 2"), "{name}:\n{excerpt}");
        assert!(
            !excerpt.contains("CC ") && !excerpt.contains("another command"),
            "{name}:\n{excerpt}"
        );
    }
}

#[test]
fn the_first_of_many_is_shown_and_never_more_than_25_lines() {
    let many = "a.c:2:1: error: another\n".repeat(900);
    let rest = "make: *** [x:2: y] Error 1\n".repeat(90);
    let excerpt = excerpt(&log(&format!(
        "a.c:1:1: error: the first\n{many}{rest}make: *** [x:3: z] Error 2\n"
    )));
    assert!(excerpt.starts_with("a.c:1:1: error: the first\n"), "{excerpt}");
    assert!(excerpt.ends_with("make: *** [x:3: z] Error 2"), "{excerpt}");
    assert!((15..=25).contains(&excerpt.lines().count()), "{excerpt}");
}

#[test]
fn a_log_without_a_word_of_make_shows_its_end() {
    assert_eq!(excerpt("$ scripts/config --enable X\nbad word\n"), "bad word");
    assert_eq!(excerpt(""), "");
}
