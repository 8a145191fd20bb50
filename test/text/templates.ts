/** Chat templates in the manner of the model families. */

/** R1: earlier reasoning is cut off, the prompt ends inside the reasoning. */
export const r1 =
  "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}{% elif m['role'] == 'user' %}" +
  "{{ '<｜User｜>' + m['content'] }}{% elif m['role'] == 'assistant' and m['content'] is not none %}{% set c = m['content'] %}" +
  "{% if '</think>' in c %}{% set c = c.split('</think>')[-1] %}{% endif %}{{ '<｜Assistant｜>' + c + '<｜end▁of▁sentence｜>' }}" +
  "{% elif m['role'] == 'assistant' %}{{ '<｜Assistant｜><｜tool▁calls▁begin｜>' }}{% for t in m['tool_calls'] %}" +
  "{{ '<｜tool▁call▁begin｜>' + t['type'] + '<｜tool▁sep｜>' + t['function']['name'] + '\\n```json\\n' + t['function']['arguments'] + '\\n```<｜tool▁call▁end｜>' }}" +
  "{% endfor %}{{ '<｜tool▁calls▁end｜><｜end▁of▁sentence｜>' }}{% elif m['role'] == 'tool' %}" +
  "{{ '<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>' + m['content'] + '<｜tool▁output▁end｜><｜tool▁outputs▁end｜>' }}{% endif %}{% endfor %}" +
  "{% if add_generation_prompt and messages[-1]['role'] != 'tool' %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}";

/** ChatML as SmolLM2 and Qwen have it. */
export const chatml =
  "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** As Qwen 3: looks into contents, trims them, writes tools as JSON. */
export const inquisitive = `
{%- if tools %}
    {{- '<|im_start|>system\\n# Tools\\n' }}
    {%- for tool in tools %}{{- "\\n" + (tool | tojson) }}{% endfor %}
    {{- '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == 'assistant' %}
        {%- set thought = '' %}
        {%- if message.reasoning_content is string %}
            {%- set thought = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>' + message.role + '\\n<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + content }}
        {%- for call in message.tool_calls or [] %}
            {{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
            {{- call.function.arguments if call.function.arguments is string else call.function.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + content + '\\n</tool_response><|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + (message.name + ': ' if message.name else '') + content.strip() + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and not enable_thinking %}{{- '<think>\\n\\n</think>\\n\\n' }}{% endif %}
{%- endif %}`;

/** As R1-0528: system messages in front of everything, and the model itself opens its reasoning. */
export const r10528 =
  "{% set ns = namespace(system='', first=true) %}{% for m in messages %}{% if m['role'] == 'system' %}" +
  "{% if ns.first %}{% set ns.system = m['content'] %}{% set ns.first = false %}{% else %}{% set ns.system = ns.system + '\\n\\n' + m['content'] %}{% endif %}" +
  "{% endif %}{% endfor %}{{ bos_token }}{{ ns.system }}{% for m in messages %}{% set content = m['content'] %}" +
  "{% if m['role'] == 'user' %}{{ '<｜User｜>' + content + '<｜Assistant｜>' }}{% elif m['role'] == 'assistant' %}" +
  "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{ content + '<｜end▁of▁sentence｜>' }}" +
  "{% endif %}{% endfor %}";

/** As r1-nano. */
export const nano =
  "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] }}" +
  "{% elif message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}{% elif message['role'] == 'assistant' %}" +
  "{% set answer = message['content'] %}{% if '</think>' in answer %}{% set answer = answer.split('</think>')[-1].lstrip('\\n') %}{% endif %}" +
  "{{ '<｜Assistant｜>' + answer + '<｜end▁of▁sentence｜>' }}{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}";

/** As SmolLM2: a system message of its own where none is given. */
export const smollm2 =
  "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}" +
  "{{ '<|im_start|>system\\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\\n' }}{% endif %}" +
  "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
