// <switch>.

import { attribute, type Property, type Setup } from './define';

export const switchProperties: Record<string, Property> = {
  checked: Boolean,
  disabled: Boolean,
  color: { type: String, value: '#04be02' },
};

export const switcher: Setup = (part, element, emit) => {
  let isOn = false;
  element.setAttribute('role', 'switch');
  element.tabIndex = 0;
  const draw = () => {
    element.setAttribute('aria-checked', String(isOn));
    element.style.setProperty('--switch', isOn ? String(part.data.color) : '');
  };
  draw();
  const toggle = () => {
    if (part.data.disabled) return;
    isOn = !isOn;
    draw();
    emit('change', { value: isOn });
  };
  part.addListener('tap', toggle);
  element.addEventListener('keydown', ({ key }) => {
    if (key === 'Enter' || key === ' ') toggle();
  });
  return {
    checked: (value: boolean) => {
      isOn = value;
      draw();
    },
    color: draw,
    disabled: attribute(element, 'disabled'),
  };
};
