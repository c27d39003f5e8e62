/* sites_x86_64.S: the way from a `syscall` instruction's stub to the gate and back.
 *
 * A stub (made by sites.c) has run the instructions that its jump replaced, and comes here with the site in r11. rcx and r11 are the
 * registers that `syscall` itself destroys, so they are free; every other register is the program's, vector registers too, and so are
 * the 128 bytes below its stack pointer. From here the way goes back to the original `syscall` (BACK), behind it with a result
 * (SKIP), or the call is made here and then looked at (ISSUE).
 *
 * The unwinder sees this frame as one that the site has called: a thread that is cancelled while it is here unwinds as it would have
 * with the signal at the `syscall`, and fsh_site_personality opens what we had closed. Unwinders look at the byte before a return
 * address; cancelled in a system call, a thread stands behind the `syscall`: so the address is one more than that. */

#define SITE_BACK 0 /* struct fsh_site */
#define SITE_SKIP 8

#define FRAME_NR   0 /* struct fsh_site_frame */
#define FRAME_A    8
#define FRAME_SITE 56
#define FRAME_PC   64
#define FRAME_SP   72
#define FRAME_RESULT 80
#define FRAME_SIZE 152

#define RED_ZONE 128
#define NUMBERS  512 /* FSH_SYSCALLS */

.macro GIVE_BACK
    movq FRAME_NR(%rsp), %rax
    movq FRAME_A(%rsp), %rdi
    movq FRAME_A+8(%rsp), %rsi
    movq FRAME_A+16(%rsp), %rdx
    movq FRAME_A+24(%rsp), %r10
    movq FRAME_A+32(%rsp), %r8
    movq FRAME_A+40(%rsp), %r9
    movq FRAME_SITE(%rsp), %r11
.endm

    .text
    .globl fsh_site_entry
    .hidden fsh_site_entry
    .type fsh_site_entry, @function
    .balign 64
fsh_site_entry:
    .cfi_startproc
    .cfi_personality 0x1b, fsh_site_personality
    .cfi_def_cfa rsp, 0
    /* The program's counter. DW_CFA_val_expression(16): breg11 SITE_SKIP, deref, lit1, plus */
    .cfi_escape 0x16, 0x10, 0x05, 0x7b, SITE_SKIP, 0x06, 0x31, 0x22
    cmpq $NUMBERS, %rax
    jae 1f
    leaq fsh_site_watch(%rip), %rcx
    cmpb $0, (%rcx,%rax)
    jne 2f
1:  jmp *SITE_BACK(%r11)

2:  movq %rsp, %rcx
    leaq -(RED_ZONE + FRAME_SIZE)(%rsp), %rsp
    andq $-16, %rsp
    movq %rcx, FRAME_SP(%rsp)
    .cfi_remember_state
    /* DW_CFA_def_cfa_expression: breg7 FRAME_SP, deref. FRAME_SP as a signed LEB128 of two bytes */
    .cfi_escape 0x0f, 0x04, 0x77, FRAME_SP | 0x80, 0x00, 0x06
    movq SITE_SKIP(%r11), %rcx
    incq %rcx
    movq %rcx, FRAME_PC(%rsp)
    /* DW_CFA_expression(16): breg7 FRAME_PC */
    .cfi_escape 0x10, 0x10, 0x03, 0x77, FRAME_PC | 0x80, 0x00
    movq %rax, FRAME_NR(%rsp)
    movq %rdi, FRAME_A(%rsp)
    movq %rsi, FRAME_A+8(%rsp)
    movq %rdx, FRAME_A+16(%rsp)
    movq %r10, FRAME_A+24(%rsp)
    movq %r8, FRAME_A+32(%rsp)
    movq %r9, FRAME_A+40(%rsp)
    movq %r11, FRAME_SITE(%rsp)
    movq %rsp, %rdi
    call fsh_site_call
    movl %eax, %ecx
    GIVE_BACK
    cmpl $1, %ecx
    jae 3f
    movq FRAME_SP(%rsp), %rsp
    .cfi_restore_state
    jmp *SITE_BACK(%r11)

    .cfi_remember_state
    .cfi_escape 0x0f, 0x04, 0x77, FRAME_SP | 0x80, 0x00, 0x06
    .cfi_escape 0x10, 0x10, 0x03, 0x77, FRAME_PC | 0x80, 0x00
3:  je 4f
5:  syscall
    movq %rax, FRAME_RESULT(%rsp)
    movq %rsp, %rdi
    call fsh_site_after
    movl %eax, %ecx
    GIVE_BACK
    testl %ecx, %ecx
    jnz 5b
4:  movq FRAME_RESULT(%rsp), %rax
    movq FRAME_SP(%rsp), %rsp
    .cfi_restore_state
    jmp *SITE_SKIP(%r11)
    .cfi_endproc
    .size fsh_site_entry, . - fsh_site_entry

/* void fsh_with_vectors(void (*function)(void *), void *argument, uint64_t size): calls it with all vector registers kept, in an
 * area of `size` bytes (cpuid 0xd) on the stack. */
    .globl fsh_with_vectors
    .hidden fsh_with_vectors
    .type fsh_with_vectors, @function
    .balign 16
fsh_with_vectors:
    .cfi_startproc
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    movq %rsp, %rbp
    .cfi_def_cfa_register rbp
    pushq %rbx
    .cfi_offset rbx, -24
    movq %rdi, %r8
    movq %rsi, %r9
    subq %rdx, %rsp
    andq $-64, %rsp
    movq %rsp, %rbx
    /* the header behind the 512 bytes of the legacy area must be zero */
    movl $8, %ecx
    leaq 512(%rbx), %rdi
    xorl %eax, %eax
    rep stosq
    movl $0xe7, %eax /* x87, SSE, AVX, AVX-512 */
    xorl %edx, %edx
    xsave64 (%rbx)
    movq %r9, %rdi
    call *%r8
    movl $0xe7, %eax
    xorl %edx, %edx
    xrstor64 (%rbx)
    movq -8(%rbp), %rbx
    leave
    .cfi_def_cfa rsp, 8
    ret
    .cfi_endproc
    .size fsh_with_vectors, . - fsh_with_vectors

/* void *fsh_call_as(path, flags, real, gadget): calls real(path, flags) so that it returns to `gadget`, a `ret` in another module, and
 * from there to here. */
    .globl fsh_call_as
    .hidden fsh_call_as
    .type fsh_call_as, @function
    .balign 16
fsh_call_as:
    .cfi_startproc
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    movq %rsp, %rbp
    .cfi_def_cfa_register rbp
    andq $-16, %rsp
    subq $8, %rsp
    leaq 1f(%rip), %rax
    pushq %rax
    pushq %rcx
    jmp *%rdx
1:  leave
    .cfi_def_cfa rsp, 8
    ret
    .cfi_endproc
    .size fsh_call_as, . - fsh_call_as

/* void fsh_call_on(void (*function)(void *), void *argument, void *top): calls it on the stack that ends at `top`. */
    .globl fsh_call_on
    .hidden fsh_call_on
    .type fsh_call_on, @function
    .balign 16
fsh_call_on:
    .cfi_startproc
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    movq %rsp, %rbp
    .cfi_def_cfa_register rbp
    movq %rdx, %rsp
    andq $-16, %rsp
    movq %rdi, %rax
    movq %rsi, %rdi
    call *%rax
    leave
    .cfi_def_cfa rsp, 8
    ret
    .cfi_endproc
    .size fsh_call_on, . - fsh_call_on

    .section .note.GNU-stack, "", @progbits
